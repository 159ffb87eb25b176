"""An app's faults, written into its own log for the Space's owner."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from hardware import redis_keys
from hardware.log_lines import KEPT_S, MAX_LINES, fields
from queueing.routes import is_path
from queueing.store.scripts import seconds

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from queueing.routes import App

EVERY_S = 1.0


class OwnerLog:
    """One dispatcher's; a line a second at most."""

    def __init__(self, redis: Redis, space_id: int) -> None:
        self._redis, self._key = redis, redis_keys.log("run", space_id)
        self._last = -EVERY_S

    async def write(self, text: str) -> None:
        """Add a line, unless one was added just now."""
        now = time.monotonic()
        if now - self._last < EVERY_S:
            return
        self._last = now
        line = fields(f"Spaceport: {text}", at=seconds(await self._redis.time()), replica=0)
        await self._redis.xadd(self._key, line, maxlen=MAX_LINES, approximate=False)
        await self._redis.expire(self._key, KEPT_S)

    async def call_failed(self, app: App, fn: str, fault: str) -> None:
        """Say why a call of this function failed, where the app is at fault (`fault` is not "")."""
        if not fault:
            return
        with contextlib.suppress(RedisError, OSError):
            await self.write(f"a call of {name_of(app, fn)} failed: {fault}")


def name_of(app: App, fn: str) -> str:
    """A function of the Space's queue as its owner knows it."""
    if is_path(fn):
        return app.paths[-1 - int(fn)] if -int(fn) <= len(app.paths) else f"path {fn}"
    function = app.function(int(fn))
    return function.api_name if function is not None and function.api_name else f"function {fn}"
