"""A Gradio app that answers each of the platform's requests in whatever bad way a test names, and honestly
where it names none."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pytest

MEGABYTE = 1024 * 1024
DIRECT = "/__spaceport__/calls/2"
REPORT = "/__spaceport__/report"
CONFIG = {
    "version": "6.31.0",
    "protocol": "sse_v3",
    "api_prefix": "/gradio_api",
    "dependencies": [
        {"id": 0, "api_name": "say", "queue": True, "types": {"generator": False}},
        {"id": 1, "api_name": "many", "queue": True, "batch": True, "max_batch_size": 4},
    ],
}
HELLO = {"success": True, "output": {"data": ["hello"]}}
INFO = {"named_endpoints": {"/say": {"parameters": [{"parameter_name": "text"}]}}}


@dataclass
class Exchange:
    """One request, its body read, and where its answer goes."""

    method: str
    path: str
    query: dict[str, list[str]]
    fields: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def lines(self) -> AsyncIterator[bytes]:
        """The lines of a request whose body goes on."""
        rest = b""
        while size := int(await self.reader.readline() or b"0", 16):
            rest += await self.reader.readexactly(size + 2)
            rest = rest[:-2]
            *lines, rest = rest.split(b"\n")
            for line in lines:
                yield line


Answer = Callable[[Exchange], Awaitable[None]]


def raw(*parts: bytes, stays: bool = False) -> Answer:
    """Write this, and hang up unless it `stays`."""

    async def answer(exchange: Exchange) -> None:
        for part in parts:
            await exchange.write(part)
        if stays:
            await exchange.reader.read()

    return answer


def head(status: str = "200 OK", *fields: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *fields, "", ""]).encode()


def whole(body: bytes, *fields: str, status: str = "200 OK") -> Answer:
    length = f"Content-Length: {len(body)}"
    return raw(head(status, "Content-Type: application/json", length, *fields) + body)


def repeated(first: bytes, part: bytes, times: int) -> Answer:
    return raw(first, *[part] * times)


async def _trickle(exchange: Exchange) -> None:
    await exchange.write(head("200 OK", "Content-Type: application/json", "Content-Length: 100000"))
    while True:
        await exchange.write(b" ")
        await asyncio.sleep(0.1)


async def _endless_heads(exchange: Exchange) -> None:
    while True:
        await exchange.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2000)


def _redirects(canary: str) -> dict[str, Answer]:
    away = f"http://{canary}/"
    elsewhere = [
        away, f"//{canary}/", f"http://user:word@{canary}/", f"/\\{canary}/", f"http:{canary}",
        f"http://{canary}/%2e%2e/", f"\thttp://{canary}/",
    ]  # fmt: skip
    return {
        f"redirect {status} to {to!r}": whole(b"", f"Location: {to}", status=f"{status} Elsewhere")
        for status, to in [
            *[(s, elsewhere[0]) for s in (301, 302, 303, 307, 308)],
            *[(307, e) for e in elsewhere],
        ]
    }


def _values() -> dict[str, bytes]:
    deep = b"[" * 200_000
    return {
        "no JSON": b"<html>hello</html>",
        "nothing": b"",
        "a list": b"[1, 2]",
        "another type": b'{"event_id": {"a": []}, "dependencies": 3, "functions": "no", "data": 7}',
        "a hostile id": b'{"event_id": "../../x\\r\\nHost: y", "data": [[1, 2, 3]]}',
        "invalid UTF-8": b'{"event_id": "\xff\xfe", "data": "\xff"}',
        "NaN": b'{"event_id": NaN, "data": [[NaN]]}',
        "nested deeply": b'{"event_id": ' + deep + b"]" * 200_000 + b"}",
        "nested without end": deep,
        "a huge number": b'{"event_id": ' + b"9" * 100_000 + b', "data": [[1e999]]}',
        "a key twice": b'{"event_id": 1, "event_id": 2, "data": [], "data": [[1]]}',
        "many keys": b"{%s}" % b",".join(b'"%d":1' % n for n in range(200_000)),
        "many lists": b'{"data": [%s[]]}' % (b"[]," * 600_000),
    }


def ways(canary: str) -> dict[str, Answer]:
    """Every bad way, by name."""
    values = _values()
    return {
        **_redirects(canary),
        **{name: whole(value) for name, value in values.items()},
        **{
            f"{name}, as a stream": raw(head() + b"data: " + value + b"\n\n")
            for name, value in values.items()
        },
        "hangs up": raw(),
        "hangs up in its head": raw(b"HTTP/1.1 200 OK\r\nContent-"),
        "hangs up in its body": raw(head("200 OK", "Content-Length: 100") + b'{"event_id'),
        "no HTTP": raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
        "an impossible status": raw(head("99999 Eh") + b"{}"),
        "switches protocols": raw(
            head("101 Switching Protocols", "Upgrade: x", "Connection: upgrade") + b"{}"
        ),
        "a status of 999": raw(head("999 Eh", "Content-Length: 2") + b"{}"),
        "204 with a body": raw(head("204 No Content", "Content-Length: 2") + b"{}" * 1000),
        "304": whole(b"", status="304 Not Modified"),
        "500": whole(b'{"detail": "no"}', status="500 Oh no"),
        "an error without end": repeated(head("400 Bad"), b"x" * MEGABYTE, 8),
        "a shorter length": raw(head("200 OK", "Content-Length: 1") + b'{"event_id": "a"}'),
        "two lengths": raw(head("200 OK", "Content-Length: 2", "Content-Length: 900") + b"{}"),
        "a negative length": raw(head("200 OK", "Content-Length: -5") + b"{}"),
        "a length and chunks": raw(
            head("200 OK", "Content-Length: 3", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n"
        ),
        "an impossible chunk": raw(head("200 OK", "Transfer-Encoding: chunked") + b"fffffffffffffffff\r\n{}"),
        "a chunk that never comes": raw(head("200 OK", "Transfer-Encoding: chunked") + b"7fffffff\r\n{}"),
        "compressed though not asked": whole(gzip.compress(b"0" * 64 * MEGABYTE), "Content-Encoding: gzip"),
        "a large header": raw(head("200 OK", "X: " + "x" * MEGABYTE) + b"{}"),
        "many headers": raw(head("200 OK", *["X: y"] * 20_000) + b"{}"),
        "controls in a header": raw(head("200 OK", "X: a\rSet-Cookie: b=c", "Content-Length: 2") + b"{}"),
        "early hints without end": _endless_heads,
        "a line without end": repeated(head(), b"x" * MEGABYTE, 64),
        "a message without end": repeated(head() + b'data: {"msg":"log","log":"', b"x" * MEGABYTE, 64),
        "empty lines without end": repeated(head(), b"\n" * MEGABYTE, 8),
        "its head and nothing": raw(head(), stays=True),
        "no head": raw(stays=True),
        "a byte now and then": _trickle,
    }


# --- bad sockets ----------------------------------------------------------------------------------------


def socket(*parts: bytes, times: int = 1) -> Answer:
    """Take the websocket, then write this, so many `times`."""

    async def answer(exchange: Exchange) -> None:
        key = exchange.fields.get("sec-websocket-key", "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
        upgrade = ("Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}")
        await exchange.write(head("101 Switching Protocols", *upgrade))
        for _ in range(times):
            for part in parts:
                await exchange.write(part)
        await exchange.reader.read()

    return answer


SOCKETS: dict[str, Answer] = {
    "says nothing": socket(),
    "empty messages without end": socket(b"\x81\x00" * 30_000, times=1000),
    "pings without end": socket(b"\x89\x00" * 30_000, times=1000),
    "a message larger than all": socket(b"\x81\x7f" + b"\xff" * 8),
    "a message without end": socket(
        b"\x01\x7e\xff\xff" + b"x" * 65535, *[b"\x00\x7e\xff\xff" + b"x" * 65535] * 900
    ),
    "compressed though not asked": socket(b"\xc1\x05\xaaV*.)"),
    "invalid UTF-8": socket(b"\x81\x02\xff\xfe"),
    "no JSON": socket(b"\x81\x02no"),
    "a list": socket(b"\x81\x02[]"),
    "nested deeply": socket(b"\x81\x7e\xff\xff" + b"[" * 65535),
    "an impossible frame": socket(b"\xff\xff\xff\xff"),
    "hangs up": socket(b"\x88\x02\x03\xe8"),
}


# --- honest answers -------------------------------------------------------------------------------------


async def honest_stream(exchange: Exchange) -> None:
    """`queue/data`: the end of whatever was joined."""
    await exchange.write(head("200 OK", "Content-Type: text/event-stream"))
    for event_id in ("1", "2"):
        values = {
            "msg": "process_completed",
            "event_id": event_id,
            "success": True,
            "output": {"data": ["hello"]},
        }
        await exchange.write(b"data: " + json.dumps(values).encode() + b"\n\n")
    await exchange.reader.read()


def direct(*lines: bytes, ends: bool = False) -> Answer:
    """The launcher's way: these lines about each call, `{id}` in them being its id."""

    async def answer(exchange: Exchange) -> None:
        await exchange.write(head("200 OK", "Content-Type: application/x-ndjson") + b"hello \n")
        async for order in exchange.lines():
            for call in json.loads(order).get("calls", ()):
                for line in lines:
                    await exchange.write(line.replace(b"{id}", call["id"].encode()))
                if ends:
                    return

    return answer


def said(kind: str = "c", word: str = "process_completed", number: int = 1, about: str = "{id}") -> bytes:
    """One line of it, as the launcher writes."""
    values = {"msg": word, "event_id": about, **HELLO}
    return f"{{id}} {number} {kind} {json.dumps(values)}\n".encode()


HONEST: dict[str, Answer] = {
    "/config": whole(json.dumps(CONFIG).encode()),
    REPORT: whole(b'{"detail": "Not Found"}', status="404 Not Found"),
    DIRECT: whole(b"", status="404 Not Found"),
    "/gradio_api/info": whole(json.dumps(INFO).encode()),
    "/gradio_api/queue/join": whole(b'{"event_id": "1"}'),
    "/gradio_api/queue/data": honest_stream,
    "/gradio_api/run/predict": whole(b'{"data": [["hello"]]}'),
}


@dataclass
class HostileApp:
    """One replica's server."""

    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    address: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = lines[0].split(" ")
            pairs = (line.split(": ", 1) for line in lines[1:] if ": " in line)
            fields = {name.lower(): value for name, value in pairs}
            body = await reader.readexactly(int(fields.get("content-length", 0)))
            parts = urlsplit(target)
            self.asked.append(f"{method} {target}")
            exchange = Exchange(method, parts.path, parse_qs(parts.query), fields, body, reader, writer)
            missing = whole(b"{}", status="404 Not Found")
            await {**HONEST, **self.answers}.get(parts.path, missing)(exchange)
        writer.close()


@contextlib.asynccontextmanager
async def serving(*apps: HostileApp) -> AsyncIterator[None]:
    """Each at an address of its own."""
    tasks: set[asyncio.Task[None]] = set()

    def begin(app: HostileApp) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        return lambda reader, writer: tasks.add(asyncio.create_task(app.serve(reader, writer)))

    servers = [await asyncio.start_server(begin(app), "127.0.0.1", 0) for app in apps]
    for app, server in zip(apps, servers, strict=True):
        app.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield
    finally:
        for server in servers:
            server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def canary() -> AsyncIterator[HostileApp]:
    """Where nobody may be sent."""
    app = HostileApp()
    async with serving(app):
        yield app
    assert app.asked == []
