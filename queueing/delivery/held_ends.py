"""Ends of events that some client could not bear at once: told a moment after their join was answered."""

from __future__ import annotations

import asyncio
import time

REMEMBERED = 10_000  # events


class HeldEnds:
    """Those of one web process."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def hold(self, event_id: str, seconds: float) -> None:
        """The event's end is told no sooner than in so many seconds; 0: as soon as it comes."""
        if seconds:
            if len(self._until) > REMEMBERED:
                self._until.clear()
            self._until[event_id] = time.monotonic() + seconds

    async def wait(self, event_id: str) -> None:
        """Until the event's end may be told."""
        if self._until:
            await asyncio.sleep(max(0.0, self._until.pop(event_id, 0.0) - time.monotonic()))
