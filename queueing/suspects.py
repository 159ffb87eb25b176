"""Who was there when a container died runs alone the next time: then it is known whose fault it was, and
innocent neighbours do not pay for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

PATIENCE_S = 30.0  # for being alone: a very long call must not hold up everybody


class Turnstile:
    """Many at once, or one alone."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._together = 0
        self._alone = 0  # inside, or waiting to be

    @contextlib.asynccontextmanager
    async def pass_through(self, *, suspect: bool) -> AsyncIterator[None]:
        """Stay inside while the block lasts. A suspect waits until nobody else is inside, others until no
        suspect is."""
        if not suspect and not self._alone:
            self._together += 1
            try:
                yield
            finally:
                await self._leave(together=1)
            return
        async with self._changed:
            self._alone += suspect
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    await self._changed.wait_for(lambda: not (self._together if suspect else self._alone))
            self._together += 1
        try:
            yield
        finally:
            await self._leave(together=1, alone=int(suspect))

    async def _leave(self, *, together: int, alone: int = 0) -> None:
        self._together -= together
        self._alone -= alone
        async with self._changed:
            self._changed.notify_all()
