"""What an app has said of one event and was not taken yet. While it is much, nothing more is read from the
app: one that speaks faster than its visitor can be told costs no memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Generic, TypeVar

from queueing.errors import ContainerDied

T = TypeVar("T")

ROOM_BYTES = 8 * 1024 * 1024
#: Whoever takes nothing for so long, a storage that is away included, takes nothing any more.
PATIENCE_S = 120.0


class Backlog(Generic[T]):
    """Of one event."""

    def __init__(self) -> None:
        self._said: deque[T] = deque()
        self._bytes = 0
        self._ended = self._left = False
        self._more, self._taken = asyncio.Event(), asyncio.Event()

    def put(self, said: T, size: int) -> None:
        if self._left:
            return
        self._said.append(said)
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
        self._said.clear()
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
        taken = list(self._said)
        self._said.clear()
        self._bytes = 0
        self._taken.set()
        return taken

    async def wait_for_message(self) -> None:
        """Until there is something to take.

        Raises:
            ContainerDied
        """
        while not self._said:
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
        """What there is to take, where it is one thing alone."""
        return self._said[0] if len(self._said) == 1 else None
