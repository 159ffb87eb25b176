"""Bounds what is read for a client that has not taken earlier messages, in number and bytes. The rest waits
in Redis."""

from __future__ import annotations

import asyncio

MESSAGES = 64
BYTES = 1024 * 1024


class ReadingAhead:
    """What is read for one client and not written yet. One larger message is taken by itself."""

    def __init__(self) -> None:
        self._messages = self._bytes = 0
        self._written = asyncio.Event()

    async def read(self, size: int) -> None:
        """Wait until there is room for a message of this many bytes, and take it."""
        while self._messages >= MESSAGES or (self._messages and self._bytes + size > BYTES):
            self._written.clear()
            await self._written.wait()
        self._messages += 1
        self._bytes += size

    def written(self, size: int) -> None:
        """Such a message was written."""
        self._messages -= 1
        self._bytes -= size
        self._written.set()
