"""Ends that an old client cannot handle at once: sent a moment after the answer to their join."""

from __future__ import annotations

import asyncio
import time

REMEMBERED = 10_000  # events


class DelayedEnds:
    """Those of one web process."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def delay(self, event_id: str, seconds: float) -> None:
        """Hold the event's end for this many seconds; 0: send it as soon as it comes."""
        if seconds:
            if len(self._until) > REMEMBERED:
                self._until.clear()
            self._until[event_id] = time.monotonic() + seconds

    async def wait(self, event_id: str) -> None:
        """Wait until the event's end may be sent."""
        if self._until:
            await asyncio.sleep(max(0.0, self._until.pop(event_id, 0.0) - time.monotonic()))
