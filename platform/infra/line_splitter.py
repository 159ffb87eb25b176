"""Lines of a stream that comes in chunks of any size. A long line costs each of its bytes once, and no line
more memory than a limit."""

from __future__ import annotations

from typing import NamedTuple

#: Of a log, the longest line that is read whole; of longer ones, what is kept.
LINE_BYTES = 64 * 1024
KEPT_BYTES = 8 * 1024


class Cut(NamedTuple):
    """The beginning of a line that was longer than the limit."""

    start: bytes


class Lines:
    """One stream's. `pending` is how long its unfinished line is by now."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self.pending = 0

    def feed(self, chunk: bytes) -> list[bytes | Cut]:
        """The lines that end in this chunk, without their newlines."""
        *ended, rest = chunk.split(b"\n")
        lines = [self._ended(part) for part in ended]
        self._add(rest)
        return lines

    def _ended(self, part: bytes) -> bytes | Cut:
        if not self._parts and len(part) <= self._limit:
            return part
        self._add(part)
        line, cut = b"".join(self._parts), self.pending > self._limit
        self._parts, self.pending = [], 0
        return Cut(line[:KEPT_BYTES]) if cut else line

    def _add(self, part: bytes) -> None:
        if not part:
            return
        fits = self.pending <= self._limit
        self.pending += len(part)
        if self.pending <= self._limit:
            self._parts.append(part)
        elif fits:
            self._parts = [b"".join([*self._parts, part])[:KEPT_BYTES]]
