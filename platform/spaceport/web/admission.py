"""Limits websocket handshakes per second, and open sockets per address. After a restart all pages come back;
each one over the limit gets its own moment to try again, before any query is made for it.

Its handshake is accepted first: a page cannot read the status of a refused one, and Daphne sends only 403."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter

from accounts.addresses import client_of, household
from infra.token_bucket import Bucket
from queueing.events import encode
from queueing.messages import COME_LATER
from spaceport.web.monitor import App, Receive, Scope, Send

BACK_MS = (1000, 5000)
HANGS_UP_S = 10.0


def admitted(app: App, per_second: float, *, each: int = 0, proxies: int = 0) -> App:
    """The same application with at most `per_second` websocket handshakes a second, and `each` open sockets
    per address; 0 is no limit."""
    bucket = Bucket(per_second) if per_second else None
    open_sockets: Counter[str] = Counter()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await app(scope, receive, send)
            return
        peer = (scope.get("client") or ("", 0))[0]
        address = household(client_of(scope["headers"], peer, proxies))
        if (each and open_sockets[address] >= each) or (bucket is not None and not bucket.take()):
            await later(receive, send)
            return
        open_sockets[address] += 1
        try:
            await app(scope, receive, send)
        finally:
            open_sockets[address] -= 1
            if not open_sockets[address]:
                del open_sockets[address]

    return application


async def later(receive: Receive, send: Send) -> None:
    """Open a websocket only to send it a moment to come back."""
    await receive()
    await send({"type": "websocket.accept"})
    goodbye = encode({"msg": "goodbye", "retry_after_ms": random.randrange(*BACK_MS)})  # noqa: S311
    await send({"type": "websocket.send", "text": goodbye.decode()})
    await send({"type": "websocket.close", "code": COME_LATER})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(HANGS_UP_S):
            while (await receive())["type"] != "websocket.disconnect":
                pass
