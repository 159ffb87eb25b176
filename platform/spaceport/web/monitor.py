"""Measures this web process: how late its event loop runs, and how many sockets it has open."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CHECK_EVERY_S = 0.5
REMEMBERED_S = 60.0

#: Open now: "websocket", and "sse" (streams of server-sent events).
sockets: Counter[str] = Counter()
_lags: deque[float] = deque(maxlen=int(REMEMBERED_S / CHECK_EVERY_S))
_measuring: set[asyncio.Task[None]] = set()


def lag_s() -> float:
    """The longest that something ready had to wait for this process's event loop in the last minute, in
    seconds."""
    return max(_lags, default=0.0)


async def _sample_forever() -> None:
    while True:
        due = time.monotonic() + CHECK_EVERY_S
        await asyncio.sleep(CHECK_EVERY_S)
        _lags.append(max(0.0, time.monotonic() - due))


def watched(app: App) -> App:
    """The same application, watched."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if not _measuring:
            _measuring.add(asyncio.create_task(_sample_forever(), name="event-loop lag"))
        if scope["type"] == "websocket":
            await _open("websocket", app(scope, receive, send))
        elif scope["type"] == "http":
            await _http(app, scope, receive, send)
        else:
            await app(scope, receive, send)

    return application


async def _open(kind: str, work: Awaitable[None]) -> None:
    sockets[kind] += 1
    try:
        await work
    finally:
        sockets[kind] -= 1


async def _http(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    streams = False

    def sending(message: Message) -> Awaitable[None]:
        nonlocal streams
        if message["type"] == "http.response.start" and not streams and _is_sse(message):
            streams = True
            sockets["sse"] += 1
        return send(message)  # not awaited here, nor in the other wrappers: each would cost every message

    try:
        await app(scope, receive, sending)
    finally:
        if streams:
            sockets["sse"] -= 1


def _is_sse(start: Message) -> bool:
    for name, value in start.get("headers", ()):
        if bytes(name).lower() == b"content-type":
            return bytes(value).startswith(b"text/event-stream")
    return False
