"""Which sessions' streams to keep open for a moment after their last event.

A stream that ends with its session's last event costs nobody a wait. A client that calls again and again in
one session would open one for each call, though, which costs more than the call. So the stream of a session
whose client was back at once is kept for a moment; not again for a while where that was for nothing."""

from __future__ import annotations

import math
import time

KEEP_S = 0.2
BACK_WITHIN_S = 1.0
NOT_AGAIN_S = 5.0
REMEMBERED = 10_000  # sessions

Session = tuple[int, str]


class Keeping:
    """What one process knows of its sessions' clients."""

    def __init__(self) -> None:
        #: When the last stream did, by the monotonic clock; later than now: until when none is kept.
        self._ended: dict[Session, float] = {}

    def seconds(self, session: Session) -> float:
        """How long to keep the stream that is being opened."""
        ago = time.monotonic() - self._ended.get(session, -math.inf)
        return KEEP_S if 0 <= ago < BACK_WITHIN_S else 0.0

    def ended(self, session: Session, *, for_nothing: bool) -> None:
        """A stream ended; `for_nothing`: it had been kept, and nobody came."""
        if len(self._ended) > REMEMBERED:
            self._ended.clear()
        now = time.monotonic()
        until = now + NOT_AGAIN_S if for_nothing else now
        self._ended[session] = max(self._ended.get(session, -math.inf), until)
