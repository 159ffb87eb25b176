"""A flood of websocket messages, of large ones, or of sockets costs whoever sends it, by either server."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from queueing.protocols.websocket import MESSAGES_AT_ONCE, TOO_MANY_MESSAGES
from spaceport.web.admission import admitted
from spaceport.web.monitor import Message, Receive, Scope, Send
from tests.hub_server import Hub
from tests.spaceport.conftest import SPACE

MEGABYTE = 1024 * 1024
FOLLOW = json.dumps({"msg": "follow", "session_hash": "0" * 32})
ODD = [
    "",
    "{",
    "null",
    "[]",
    '"x"',
    "1e999",
    '{"msg":1}',
    '{"msg":"nothing"}',
    '{"msg":"join"}',
    "\0",
    "[" * 9000,
]


def open_one(hub: Hub) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{hub.port}/ws/spaces/{SPACE}/queue", max_size=None, compression=None)


def closed_with(socket: ClientConnection) -> int | None:
    """The code that the socket is closed with."""
    with contextlib.suppress(TimeoutError):
        try:
            while True:
                socket.recv(30)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None
    raise AssertionError("it stays open")


@pytest.mark.parametrize("message", ['{"msg":"status"}', FOLLOW, "x"])
def test_who_never_stops_talking_is_closed(web: Hub, message: str) -> None:
    with open_one(web) as socket:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(50 * MESSAGES_AT_ONCE):
                socket.send(message)
        assert closed_with(socket) in (TOO_MANY_MESSAGES, None)
    with open_one(web) as socket:
        assert json.loads(socket.recv(10))["msg"] == "status"


def test_a_message_that_is_too_large_is_closed_with_1009(web: Hub) -> None:
    assert web.process is not None
    statm = Path(f"/proc/{web.process.pid}/statm")
    before = int(statm.read_text().split()[1]) * 4096
    with open_one(web) as socket:
        with contextlib.suppress(ConnectionClosed):
            socket.send("x" * (32 * MEGABYTE))
        assert closed_with(socket) in (1009, None)
    assert int(statm.read_text().split()[1]) * 4096 - before < 20 * MEGABYTE


def test_odd_messages_are_answered_and_the_socket_stays(web: Hub) -> None:
    with open_one(web) as socket:
        socket.recv(10)
        for message in ODD:
            socket.send(message)
            while (answer := json.loads(socket.recv(10)))["msg"] == "status":
                pass
            assert answer["msg"] == "error", (message, answer)
        socket.send(b"\xff\xfe")
        while json.loads(socket.recv(10))["msg"] == "status":
            pass


async def test_one_address_has_so_many_sockets_and_others_have_theirs() -> None:
    leave = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["taken"] = True
        await leave.wait()

    def come(address: str, forwarded: str = "") -> tuple[Scope, asyncio.Future[None]]:
        headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
        scope: Scope = {"type": "websocket", "client": (address, 1), "headers": headers}

        async def receive() -> Message:
            return {"type": "websocket.disconnect"}

        async def send(message: Message) -> None:
            pass

        return scope, asyncio.ensure_future(limited(scope, receive, send))

    limited = admitted(app, 0, each=3, proxies=1)
    mine = [come("10.0.0.1", "192.0.2.7") for _ in range(5)]
    other = come("10.0.0.1", "192.0.2.8")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [bool(scope.get("taken")) for scope, _ in mine] == [True, True, True, False, False]
    assert other[0]["taken"]
    leave.set()
    await asyncio.gather(*(task for _, task in mine))
    again = come("10.0.0.1", "192.0.2.7")
    await asyncio.sleep(0)
    assert again[0]["taken"]
    await asyncio.gather(again[1], other[1])
