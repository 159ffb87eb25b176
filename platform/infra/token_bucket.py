"""A token bucket."""

from __future__ import annotations

import time
from collections.abc import Callable


class Bucket:
    """What may be taken `per_second`; what is not taken is kept, up to `most` (what comes in a second)."""

    __slots__ = ("_at", "_clock", "_left", "_most", "_per_second")

    def __init__(
        self, per_second: float, clock: Callable[[], float] = time.monotonic, *, most: float | None = None
    ) -> None:
        self._per_second, self._clock = per_second, clock
        self._most = per_second if most is None else most
        self._left, self._at = self._most, clock()

    def take(self) -> bool:
        """Whether there was one to be taken."""
        now = self._clock()
        self._left = min(self._left + (now - self._at) * self._per_second, self._most)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
