"""Messages of one event that the dispatcher has not processed yet. When there are too many, reading from the
app pauses: an app that sends faster than its visitor receives costs no memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Generic, TypeVar

from queueing.errors import ContainerDied

T = TypeVar("T")

ROOM_BYTES = 8 * 1024 * 1024
#: A consumer that takes nothing for this long has stopped, even if only because Redis is away.
PATIENCE_S = 120.0


class Backlog(Generic[T]):
    """The backlog of one event."""

    def __init__(self) -> None:
        self._messages: deque[T] = deque()
        self._bytes = 0
        self._ended = self._left = False
        self._more, self._taken = asyncio.Event(), asyncio.Event()

    def put(self, message: T, size: int) -> None:
        if self._left:
            return
        self._messages.append(message)
        self._bytes += size
        self._more.set()

    @property
    def is_full(self) -> bool:
        return self._bytes > ROOM_BYTES and not self._left

    async def room(self) -> None:
        """Until there is room again."""
        while self.is_full:
            self._taken.clear()
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._taken.wait()
            except TimeoutError:
                self.leave()

    def leave(self) -> None:
        """Nobody takes anything any more."""
        self._left = True
        self._messages.clear()
        self._taken.set()

    def break_off(self) -> None:
        """Nothing more comes."""
        self._ended = True
        self._more.set()

    async def take(self) -> list[T]:
        """All there is, at least one.

        Raises:
            ContainerDied: nothing is left, and nothing more comes.
        """
        await self.wait_for_message()
        taken = list(self._messages)
        self._messages.clear()
        self._bytes = 0
        self._taken.set()
        return taken

    async def wait_for_message(self) -> None:
        """Until there is something to take.

        Raises:
            ContainerDied
        """
        while not self._messages:
            if self._ended:
                raise ContainerDied
            self._more.clear()
            await self._more.wait()

    async def more_within(self, seconds: float) -> None:
        """Until something else comes, or the time is over."""
        self._more.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._more.wait()

    def alone(self) -> T | None:
        """The only message there is; None where there are none or several."""
        return self._messages[0] if len(self._messages) == 1 else None
