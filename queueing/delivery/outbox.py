"""The messages still to be sent to one client. A newer state replaces an older one; messages, none of which
may be lost, wait for room. So a slow reader costs little memory and delays nobody else."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

ROOM_BYTES = 256 * 1024
PATIENCE_S = 30.0


class TooSlow(Exception):
    """The client has taken nothing for half a minute, and there is no more room for it."""


class Outbox:
    """The outbox of one client. `write` may wait until the client has taken what it got."""

    def __init__(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        self._write = write
        self._states: dict[str, bytes] = {}
        self._messages: deque[bytes] = deque()
        self._bytes = 0
        self._taken = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def state(self, topic: str, payload: bytes) -> None:
        """Send a state; it replaces an earlier one of the same key that is not written yet."""
        self._states.pop(topic, None)
        self._states[topic] = payload
        self._begin()

    async def message(self, payload: bytes) -> None:
        """Send something that must not be missed, behind all others of its kind.

        Raises:
            TooSlow
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                while self._bytes > ROOM_BYTES:
                    self._taken.clear()
                    await self._taken.wait()
        except TimeoutError as error:
            raise TooSlow from error
        self._messages.append(payload)
        self._bytes += len(payload)
        self._begin()

    def close(self) -> None:
        """Write nothing more."""
        if self._writer is not None:
            self._writer.cancel()

    def _begin(self) -> None:
        # Only while there is something to write: most sockets are silent most of the time.
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all(), name="outbox")

    async def _write_all(self) -> None:
        while self._states or self._messages:
            if self._messages:
                payload = self._messages.popleft()
                await self._write(payload)
                self._bytes -= len(payload)
                self._taken.set()
            else:
                await self._write(self._states.pop(next(iter(self._states))))
