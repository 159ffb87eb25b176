"""The hop to a replica on another node: a real Caddy with the certificates of a node that joined, in front of
an app of the test's own."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web

from hardware.hop.addresses import CONNECTIONS, PROXY_HEADER, REPLICA_HEADER, parse
from hardware.hop.proxy import Proxy
from hardware.replica_client import ReplicaClient, Unreachable
from hardware.trust import authority, tokens
from hardware.trust.membership import Files, Membership
from tests.hardware.test_joining import joined
from tests.platform_server import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


class There(NamedTuple):
    """A node and the app on it."""

    proxy: Proxy
    files: Files
    membership: Membership
    app: str
    seen: list[dict[str, str]]


async def echo(request: web.Request) -> web.StreamResponse:
    """Answers each line as it comes."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    async for line in request.content:
        await answer.write(b"you said " + line)
    return answer


async def shout(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(message.data.upper())
    return ws


@pytest.fixture
def node(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[There]:
    settings.SPACEPORT_NODES_DATABASE_URL = "postgresql://db.example.org/spaceport"
    settings.SPACEPORT_NODES_REDIS_URL = "redis://redis.example.org/0"
    port = free_port()
    files, membership = joined(tokens.issue("admin")[1], tmp_path, monkeypatch, f"127.0.0.1:{port}")
    monkeypatch.setattr(CONNECTIONS, "source", authority.client_context)
    monkeypatch.setattr(CONNECTIONS, "_made", None)
    proxy = Proxy(files, membership)
    proxy.ensure()
    yield There(proxy, files, membership, "", [])
    proxy.stop()


@pytest.fixture
async def there(node: There) -> AsyncIterator[There]:
    async def page(request: web.Request) -> web.Response:
        node.seen.append(dict(request.headers))
        return web.Response(text=request.path_qs, headers={PROXY_HEADER: "forged", "Server": "app"})

    app = web.Application()
    app.router.add_post("/echo", echo)
    app.router.add_get("/ws", shout)
    app.router.add_get("/{path:.*}", page)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    local = f"127.0.0.1:{runner.addresses[0][1]}"
    await eventually(lambda: _listens(node.membership.address), "the proxy listens")
    yield node._replace(app=local)
    await runner.cleanup()


def _listens(address: str) -> bool:
    import socket

    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.fixture
async def client() -> AsyncIterator[ReplicaClient]:
    async with ReplicaClient() as made:
        yield made


async def test_a_request_reaches_the_replica_that_it_names_as_it_was_sent(
    there: There, client: ReplicaClient
) -> None:
    address = there.proxy.offer(41, there.app)
    async with client.send("GET", address, "/a%2Fb/%2e%2e/c//d?q=%20x") as reply:
        assert await reply.read(1000) == b"/a%2Fb/%2e%2e/c//d?q=%20x"
        assert reply.headers["Server"] == "app"
        assert PROXY_HEADER not in reply.headers
        assert "Via" not in reply.headers
    seen = there.seen[-1]
    assert seen["Host"] == there.app, "as if the platform were on its machine"
    assert not {REPLICA_HEADER, "Via", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"} & set(seen)
    visitor = {
        "host": "alice-demo.example.org", "x-forwarded-host": "alice-demo.example.org",
        "x-forwarded-proto": "http", "x-forwarded-for": "203.0.113.9", REPLICA_HEADER.lower(): "999",
    }  # fmt: skip
    async with client.send("GET", address, "/", headers=visitor) as reply:
        assert reply.status == 200
    seen = {name.lower(): value for name, value in there.seen[-1].items()}
    assert {name: seen.get(name) for name in visitor} == {**visitor, REPLICA_HEADER.lower(): None}


async def test_both_ways_stream_at_once_and_sockets_work(there: There, client: ReplicaClient) -> None:
    address = there.proxy.offer(41, there.app)
    said: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def lines() -> AsyncIterator[bytes]:
        while (line := await said.get()) is not None:
            yield line

    async with asyncio.timeout(20):
        said.put_nowait(b"one\n")
        async with client.send("POST", address, "/echo", data=lines()) as reply:
            chunks = reply.chunks()
            assert await anext(chunks) == b"you said one\n"
            said.put_nowait(b"two\n")
            assert await anext(chunks) == b"you said two\n"
            said.put_nowait(None)
        ws = await client.websocket(address, "/ws", headers={}, max_message_bytes=1000)
        await ws.send_str("hello")
        assert (await ws.receive()).data == "HELLO"
        await ws.close()


async def test_what_does_not_run_there_is_unreachable(there: There, client: ReplicaClient) -> None:
    address = there.proxy.offer(41, there.app)
    other = address.replace("/41/", "/42/")
    with pytest.raises(Unreachable, match="absent"):
        await status(client, other)
    there.proxy.withdraw(41)
    with pytest.raises(Unreachable, match="absent"):
        await status(client, address)
    with pytest.raises(Unreachable, match="absent"):
        await client.websocket(address, "/ws", headers={}, max_message_bytes=1000)
    gone = there.proxy.offer(43, f"127.0.0.1:{free_port()}")
    with pytest.raises(Unreachable, match="unreachable"):
        await status(client, gone)


async def test_a_freed_port_is_its_next_replicas_alone(there: There, client: ReplicaClient) -> None:
    before = there.proxy.offer(41, there.app)
    after = there.proxy.offer(42, there.app)
    assert await status(client, after) == 200
    with pytest.raises(Unreachable, match="absent"):
        await status(client, before)


async def test_who_has_no_certificate_of_the_platform_gets_no_answer(there: There) -> None:
    there.proxy.offer(41, there.app)
    url, named = f"https://{there.membership.address}/", {REPLICA_HEADER: "41"}
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    nobody.check_hostname, nobody.verify_mode = False, ssl.CERT_NONE
    node = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    node.check_hostname, node.verify_mode = False, ssl.CERT_NONE
    node.load_cert_chain(there.files.certificate, there.files.key)
    async with aiohttp.ClientSession() as session:
        for context in (nobody, node):
            with pytest.raises(aiohttp.ClientError):
                async with session.get(url, ssl=context, headers=named) as answer:
                    await answer.read()
        plain = await session.get(f"http://{there.membership.address}/", headers=named)
        assert plain.status == 400
        plain.close()
    assert there.seen == []


async def test_a_node_under_another_name_is_not_believed(there: There, client: ReplicaClient) -> None:
    address = there.proxy.offer(41, there.app)
    parts = parse(address)
    assert parts is not None
    with pytest.raises(Unreachable, match=r"(?i)certificate"):
        await status(client, str(parts._replace(label="n999")))
    assert await status(client, address) == 200


async def test_on_its_own_node_a_replica_is_reached_without_the_hop(
    there: There, client: ReplicaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = there.proxy.offer(41, there.app)
    monkeypatch.setattr(CONNECTIONS, "source", None)
    with pytest.raises(Unreachable, match="Only the platform"):
        await status(client, address)
    monkeypatch.setattr(CONNECTIONS, "here", there.membership.label)
    assert await status(client, address) == 200
    assert there.seen[-1]["Host"] == there.app


async def test_the_next_worker_goes_on_with_the_proxy_and_a_new_certificate_ends_no_socket(
    there: There, client: ReplicaClient
) -> None:
    address = there.proxy.offer(41, there.app)
    ws = await client.websocket(address, "/ws", headers={}, max_message_bytes=1000)
    next_one = Proxy(there.files, there.membership)
    next_one.ensure()
    assert next_one._process is None, "it found the one that runs"
    await asyncio.to_thread(next_one.renew)
    await ws.send_str("hello")
    assert (await ws.receive()).data == "HELLO"
    await ws.close()
    async with ReplicaClient() as new:
        assert await status(new, address) == 200


async def status(client: ReplicaClient, address: str, **more: Any) -> int:
    async with client.send("GET", address, "/", total_s=20, **more) as reply:
        return reply.status
