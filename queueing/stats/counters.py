"""What the scripts count in a minute's hash, as values. Pure; the fields are written by `lua/lib/count.lua`.

A field is `<what>:<bucket>:<lane>:<fn>`, or a highest value: `pending`, `running`, `calls`. `what` is one of
COUNTS, or `wait` (join to first claim), `left` (join to the moment in which its visitor gave up waiting),
`batch` (calls by their size) or `running` (the most calls of its group); an ending that had a run before it
names the bucket of its service time, claim to finish (`queueing.stats.histograms`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

COUNTS = ("page", "api", "full", "closed", "refused", "completed", "failed", "cancelled", "retried")
PEAKS = ("pending", "running", "calls")
#: Functions counted separately in one minute; further ones are counted together.
MOST_FUNCTIONS = 200
OTHERS = ("", "")

Fn = tuple[str, str]  # lane, fn


@dataclass
class Tally:
    """Counters of one function, or of several added up. Histograms by bucket, `left` of how long those waited
    who gave up before their start; `batch` by size; `running`: the
    most calls at once of its group of functions, of the busiest group where several are added up."""

    counts: Counter[str] = field(default_factory=Counter)
    wait: Counter[int] = field(default_factory=Counter)
    service: Counter[int] = field(default_factory=Counter)
    left: Counter[int] = field(default_factory=Counter)
    batch: Counter[int] = field(default_factory=Counter)
    running: int = 0

    @property
    def arrivals(self) -> int:
        """Accepted events."""
        return self.counts["page"] + self.counts["api"]

    @property
    def refused(self) -> int:
        """Events that were not accepted, for whatever reason."""
        return self.counts["full"] + self.counts["closed"] + self.counts["refused"]

    @property
    def mean_batch(self) -> float | None:
        """Events in one call of a batch function, on average; None where none was called."""
        calls = sum(self.batch.values())
        return sum(size * count for size, count in self.batch.items()) / calls if calls else None

    def add(self, other: Self) -> None:
        """Take another one's counters in."""
        self.counts.update(other.counts)
        self.wait.update(other.wait)
        self.service.update(other.service)
        self.left.update(other.left)
        self.batch.update(other.batch)
        self.running = max(self.running, other.running)


@dataclass
class Minute:
    """One minute of one Space: its functions, and the highest numbers there were of events waiting, calls
    running in the main lane, and calls running in all lanes."""

    functions: dict[Fn, Tally] = field(default_factory=dict)
    pending: int = 0
    running: int = 0
    calls: int = 0

    def all(self) -> Tally:
        """Its functions added up."""
        total = Tally()
        for tally in self.functions.values():
            total.add(tally)
        return total


def parse_minute(fields: Mapping[bytes, bytes]) -> Minute:
    """A minute's hash as Redis answers it."""
    minute = Minute()
    for raw, value in fields.items():
        name, number = raw.decode(), int(value)
        if name in PEAKS:
            setattr(minute, name, number)
        else:
            _count(minute, name, number)
    minute.calls = max(minute.calls, minute.running)
    return minute


def _count(minute: Minute, name: str, number: int) -> None:
    what, bucket, lane, fn = name.split(":", 3)
    known = (lane, fn) in minute.functions or len(minute.functions) < MOST_FUNCTIONS
    tally = minute.functions.setdefault((lane, fn) if known else OTHERS, Tally())
    if what == "wait":
        tally.wait[int(bucket)] += number
    elif what == "left":
        tally.left[int(bucket)] += number
    elif what == "batch":
        tally.batch[int(bucket)] += number
    elif what == "running":
        tally.running = max(tally.running, number)
    else:
        tally.counts[what] += number
        if bucket:
            tally.service[int(bucket)] += number
