"""A request's body on its way through the gateway, where the server hands it on as it comes (uvicorn)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import pytest
from aiohttp import web

from hardware.replica_client import ReplicaClient
from spaces.gateway.proxy import http
from spaces.gateway.proxy.door import Door
from tests.sockets import client

__all__ = ["client"]

Message = MutableMapping[str, Any]


class Visitor:
    """One request's two ends, as a server gives them to the application."""

    def __init__(self) -> None:
        self.sends: asyncio.Queue[Message] = asyncio.Queue()
        self.gets: list[Message] = []
        self.answered = asyncio.Event()

    def says(self, body: bytes, *, more: bool) -> None:
        self.sends.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def hangs_up(self) -> None:
        self.sends.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> Message:
        return await self.sends.get()

    async def send(self, message: Message) -> None:
        self.gets.append(message)
        self.answered.set()

    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.gets)


class Container:
    """A container that answers when it has begun to read, with what it reads."""

    def __init__(self) -> None:
        self.whole: list[bytes] = []
        self.broken = asyncio.Event()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        got = b""
        try:
            async for chunk in request.content.iter_any():
                await response.prepare(request)  # the first time
                got += chunk
                await response.write(chunk)
        except (OSError, asyncio.CancelledError):
            self.broken.set()
            raise
        self.whole.append(got)
        await response.write_eof()
        return response


@pytest.fixture
async def container() -> AsyncIterator[tuple[Container, str]]:
    container = Container()
    server = web.Server(container.answer)
    runner = web.ServerRunner(server, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield container, f"127.0.0.1:{port}"
    await runner.cleanup()


async def forward(client: ReplicaClient, visitor: Visitor, address: str) -> None:
    await http.forward(
        client, {"method": "POST"}, visitor.receive, visitor.send,
        address=address, target="/upload", headers={"host": "a"}, has_body=True,
        door=Door(space_id=1, host="a"),
    )  # fmt: skip


async def test_an_answer_that_begins_early_loses_nothing_of_the_upload(
    client: ReplicaClient, container: tuple[Container, str]
) -> None:
    there, address = container
    visitor = Visitor()
    visitor.says(b"one ", more=True)
    passing = asyncio.create_task(forward(client, visitor, address))
    await asyncio.wait_for(visitor.answered.wait(), 30)
    for _ in range(50):
        visitor.says(b"more ", more=True)
    visitor.says(b"end", more=False)
    await asyncio.wait_for(passing, 30)
    assert there.whole == [b"one " + b"more " * 50 + b"end"]
    assert visitor.body() == there.whole[0]


async def test_a_container_never_takes_half_an_upload_for_all_of_it(
    client: ReplicaClient, container: tuple[Container, str]
) -> None:
    there, address = container
    visitor = Visitor()
    visitor.says(b"half of", more=True)
    passing = asyncio.create_task(forward(client, visitor, address))
    await asyncio.wait_for(visitor.answered.wait(), 30)
    visitor.hangs_up()
    await asyncio.wait_for(passing, 30)
    await asyncio.wait_for(there.broken.wait(), 30)
    assert there.whole == []


async def test_an_upload_that_breaks_off_before_any_answer_has_nobody_to_answer(
    client: ReplicaClient, container: tuple[Container, str]
) -> None:
    there, address = container
    visitor = Visitor()
    passing = asyncio.create_task(forward(client, visitor, address))
    visitor.hangs_up()
    with pytest.raises(http.HungUp):
        await asyncio.wait_for(passing, 30)
    assert not there.whole
    assert not visitor.gets


async def test_half_a_body_is_no_body() -> None:
    visitor = Visitor()
    visitor.says(b"half", more=True)
    visitor.hangs_up()
    with pytest.raises(http.HungUp):
        await http.read_body(visitor.receive, 1000)
