"""So many websocket handshakes a second as this process does well. After a restart all pages come back; each
one over the limit is told its own moment to try again, before anything is looked up for it.

Its handshake is answered to tell it that: a page can read no status of a refused one, and Daphne sends none
but 403."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable

from queueing.events import encode
from queueing.messages import COME_LATER
from spaceport.watch import App, Receive, Scope, Send

BACK_MS = (1000, 5000)
HANGS_UP_S = 10.0


class Bucket:
    """What may be taken `per_second`; what is not taken is kept for a second."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._clock = per_second, clock
        self._left, self._at = per_second, clock()

    def take(self) -> bool:
        """Whether there was one to be taken."""
        now = self._clock()
        self._left = min(self._left + (now - self._at) * self._per_second, self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def admitted(app: App, per_second: float) -> App:
    """The same application, asked for so many websockets a second at most; 0: for any number."""
    if not per_second:
        return app
    bucket = Bucket(per_second)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and not bucket.take():
            await _later(receive, send)
        else:
            await app(scope, receive, send)

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
