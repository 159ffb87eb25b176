"""So many websocket handshakes a second as this process does well, and so many at once from one address.
After a restart all pages come back; each one over the limit is told its own moment to try again, before
anything is looked up for it.

Its handshake is answered to tell it that: a page can read no status of a refused one, and Daphne sends none
but 403."""

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
    """The same application, asked for so many websockets a second at most, and for `each` at once by one
    visitor's address; 0: for any number."""
    bucket = Bucket(per_second) if per_second else None
    held: Counter[str] = Counter()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await app(scope, receive, send)
            return
        peer = (scope.get("client") or ("", 0))[0]
        address = household(client_of(scope["headers"], peer, proxies))
        if (each and held[address] >= each) or (bucket is not None and not bucket.take()):
            await _later(receive, send)
            return
        held[address] += 1
        try:
            await app(scope, receive, send)
        finally:
            held[address] -= 1
            if not held[address]:
                del held[address]

    return application


async def _later(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    goodbye = encode({"msg": "goodbye", "retry_after_ms": random.randrange(*BACK_MS)})  # noqa: S311
    await send({"type": "websocket.send", "text": goodbye.decode()})
    await send({"type": "websocket.close", "code": COME_LATER})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(HANGS_UP_S):
            while (await receive())["type"] != "websocket.disconnect":
                pass
