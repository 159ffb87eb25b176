"""What uvicorn, as we run it, takes from clients: Daphne's and Twisted's limits, and patience that ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest

from spaceport.web import uvicorn, uvicorn_http, uvicorn_ws
from spaceport.web.uvicorn import Server, configured
from tests.waiting import eventually, wait_until

SOON_S = 0.3


class Web(Server):
    """One in a thread of its own, on the loop that a web process has; `app` is its application."""

    def __init__(self) -> None:
        super().__init__(configured(self._application), lambda _: None)
        self.app: Callable[..., Awaitable[None]] = hello
        self.scopes: list[Any] = []
        self.ended = 0
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        try:
            await self.app(scope, receive, send)
        finally:
            self.ended += 1

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, *pieces: bytes) -> bytes:
        """What is answered to these bytes, until the server hangs up."""
        reader, writer = await self.connect()
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
        answer = b""
        with contextlib.suppress(ConnectionError):
            while chunk := await asyncio.wait_for(reader.read(65536), 30):
                answer += chunk
        writer.close()
        return answer


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    thread = threading.Thread(target=web.run, args=([web.listening],))
    thread.start()
    wait_until(lambda: web.started, "it serves")
    yield web
    web.handle_exit(15, None)
    thread.join(30)
    assert not thread.is_alive()


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Reads all of the request, then answers."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})


async def floods(scope: Any, receive: Any, send: Any) -> None:
    """Sends without an end."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await send({"type": "websocket.send", "bytes": b"x" * 65536})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        if scope["ended"]():
            return


GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"


async def test_an_ordinary_request_is_answered_and_nothing_added(web: Web) -> None:
    answer = await web.ask(GET + b"X-Long: " + b"a" * 12_000 + b"\r\n\r\n")
    assert answer == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([GET + b"X: " + b"a" * 17_000 + b"\r\n\r\n"], id="a long header at once"),
        pytest.param([GET + b"X: ", *[b"a" * 1000] * 100], id="a header without an end"),
        pytest.param([GET, *[b"X: " + b"x" * 900 + b"\r\n" for _ in range(40)]], id="many long headers"),
        pytest.param([GET + b"".join(b"x: 1\r\n" for _ in range(501)) + b"\r\n"], id="501 headers"),
        pytest.param([b"GET /", *[b"a" * 1000] * 100], id="a path without an end"),
        pytest.param([b"GET http://evil/x HTTP/1.1\r\nHost: a\r\n\r\n"], id="a whole address"),
        pytest.param([b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n"], id="a path beyond ASCII"),
        pytest.param([b"GET /?\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n"], id="a query beyond ASCII"),
        pytest.param([b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"], id="a space before the colon"),
        pytest.param(
            [b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
             b"0\r\n\r\n"],
            id="two lengths",
        ),
        pytest.param(
            [
                b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
                *[b"t: " + b"a" * 1000 + b"\r\n"] * 100,
            ],
            id="trailers without an end",
        ),
        pytest.param(
            [b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
             b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
             b"Cookie: " + b"c" * 9000 + b"\r\n\r\n"],
            id="a websocket's handshake with a long line",
        ),
    ],
)  # fmt: skip
async def test_what_is_malformed_or_too_much_is_refused(web: Web, pieces: list[bytes]) -> None:
    answer = await web.ask(*pieces)
    # Who still sends when we have hung up does not get to read why.
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n") or (len(pieces) > 1 and not answer), answer
    assert (await web.ask(GET + b"\r\n")).endswith(b"hello"), "and others are served"


async def test_the_limits_are_those_of_daphne() -> None:
    from twisted.web.http import HTTPChannel, HTTPFactory

    assert HTTPChannel.totalHeadersSize == uvicorn_http.HEAD_BYTES
    assert HTTPChannel.maxHeaders == uvicorn_http.HEADERS
    assert HTTPFactory.timeOut == uvicorn.IDLE_S


async def test_nobody_says_himself_where_he_comes_from(web: Web) -> None:
    await web.ask(GET + b"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\r\n")
    assert (web.scopes[0]["client"][0], web.scopes[0]["scheme"]) == ("127.0.0.1", "http")


async def test_no_header_comes_by_underscore_or_behind_the_body(web: Web) -> None:
    answer = await web.ask(
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX_Forwarded_For: 1.2.3.4\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"
    )
    assert answer.endswith(b"hello")
    names = {name for name, _ in web.scopes[0]["headers"]}
    assert names == {b"host", b"connection", b"transfer-encoding"}


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHo", GET + b"Content-Length: 9\r\n\r\nabc"])
async def test_who_is_silent_though_it_is_his_turn_is_hung_up_on(
    web: Web, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uvicorn, "IDLE_S", SOON_S)
    monkeypatch.setattr(uvicorn, "CHECK_EVERY_TICKS", 1)
    assert await web.ask(begun) == b""
    await eventually(lambda: web.ended == len(web.scopes), "its application ended")


async def test_who_waits_for_an_answer_may_be_silent_for_long(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uvicorn, "IDLE_S", 0.01)
    monkeypatch.setattr(uvicorn, "CHECK_EVERY_TICKS", 1)
    looks = 0
    look = uvicorn_http.Stalled.check

    def counted(self: uvicorn_http.Stalled, connections: Any, now: float) -> None:
        nonlocal looks
        looks += 1
        look(self, connections, now)

    monkeypatch.setattr(uvicorn_http.Stalled, "check", counted)

    async def late(scope: Any, receive: Any, send: Any) -> None:
        first = looks
        await eventually(lambda: looks > first + 5, "many looks at the connections")
        await hello(scope, receive, send)

    web.app = late
    assert (await web.ask(GET + b"\r\n")).endswith(b"hello")


async def test_an_application_ends_when_its_client_has_gone(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uvicorn_http, "GONE_S", SOON_S)

    async def deaf(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    web.app = deaf
    _, writer = await web.connect()
    writer.write(GET + b"\r\n")
    await eventually(lambda: web.scopes, "it runs")
    writer.close()
    await eventually(lambda: web.ended == 1, "it ended")


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_a_client_that_reads_nothing_costs_little_and_is_hung_up_on(
    web: Web, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uvicorn_http, "PATIENCE_S", SOON_S)
    monkeypatch.setattr(uvicorn, "CHECK_EVERY_TICKS", 1)
    sent = held = 0

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            nonlocal sent, held
            await send(message)
            sent += 1
            held = max(held, *(c.transport.get_write_buffer_size() for c in web.server_state.connections), 0)

        await floods({**scope, "ended": lambda: not web.server_state.connections}, receive, sending)

    web.app = counted
    reader = socket.create_connection(("127.0.0.1", web.port))
    upgrade = (
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    )
    head = b"GET / HTTP/1.1\r\nHost: a\r\n"
    reader.sendall(head + (b"Connection: upgrade\r\n" + upgrade if kind == "websocket" else b"") + b"\r\n")
    await eventually(lambda: sent > 2, "it floods")
    await eventually(lambda: web.ended == 1, "the application ended")
    assert not web.server_state.connections
    assert held <= 4 * 65536
    reader.close()


def test_only_who_takes_nothing_at_all_is_stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    class Client:
        """Of a server: what it is sent, and has not taken."""

        takes_nothing_more = True

        def __init__(self) -> None:
            self.left, self.aborted = 100_000, False
            self.transport = self

        def is_closing(self) -> bool:
            return False

        def abort(self) -> None:
            self.aborted = True

    monkeypatch.setattr(uvicorn_http, "untaken", lambda transport: transport.left)
    slow, deaf, drained = Client(), Client(), Client()
    stalled = uvicorn_http.Stalled()
    for look in range(40):
        slow.left -= 1
        drained.takes_nothing_more = not drained.takes_nothing_more
        stalled.check([slow, deaf, drained], look * 2.0)
    assert (slow.aborted, deaf.aborted, drained.aborted) == (False, True, False)


async def test_a_socket_that_is_not_accepted_in_time_is_refused(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uvicorn_ws, "ACCEPT_S", SOON_S)

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "websocket.disconnect":
            pass

    web.app = silent
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(f"http://127.0.0.1:{web.port}/")
    await eventually(lambda: web.ended == 1, "the application heard of it")


async def test_websockets_are_not_compressed_and_take_a_mebibyte(web: Web) -> None:
    async with aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{web.port}/"
        async with http.ws_connect(url, compress=15) as ws:
            assert not ws.compress
            await ws.send_str("x" * 2**20)
            assert len(await ws.receive_str(timeout=30)) == 2**20
            await ws.send_str("x" * (2**20 + 1))
            assert (await ws.receive(timeout=30)).type == aiohttp.WSMsgType.CLOSE
            assert ws.close_code == 1009


async def test_idle_websockets_cost_at_most_32_kib_each(web: Web) -> None:
    count = 400

    def resident() -> int:
        with open("/proc/self/statm") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    key = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" + key + b"\r\n"

    def opened() -> list[socket.socket]:
        ours = []
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", web.port), 30)
            one.sendall(request)
            assert b"101" in one.recv(1024)
            ours.append(one)
        return ours

    first = await asyncio.to_thread(opened)  # what is made once
    before = resident()
    more = await asyncio.to_thread(opened)
    each = (resident() - before) / count
    for one in first + more:
        one.close()
    print(f"{each / 1024:.1f} KiB for each socket, its client's end too")
    assert each < 32 * 1024
