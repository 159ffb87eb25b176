"""The queue as a model: calls that arrive, limits, cores that calls share. Pure, and quick enough to redraw a
page while a slider moves.

Calls of one line start in the order of their arrival, as many at once as the line's limit allows. Each needs
some seconds of work. While more run than the cores can serve at full speed, all of them slow down alike
(egalitarian processor sharing; Kleinrock, Queueing Systems II, chapter 4). That is kept by a virtual clock,
which runs at the common speed: a call ends when the clock has advanced by its work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple


class Arrival(NamedTuple):
    """One event: when it comes, in seconds; the number of its line; the seconds of work of its call."""

    at: float
    line: int
    work: float


@dataclass(frozen=True, kw_only=True)
class Line:
    """Functions that share a limit. `limit`: calls at once, None for no limit; `batch`: the most events in
    one call, which takes as long as the first of them."""

    limit: int | None = 1
    batch: int = 1


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What holds for all lines together. `max_running`: calls at once, None for no limit. `max_size`: events
    that wait, None for no limit. `parallel`: how many calls the cores can serve at full speed."""

    max_running: int | None = None
    max_size: int | None = None
    parallel: float = float("inf")


@dataclass(kw_only=True)
class Outcome:
    """What came of it. `waits`: (arrival, seconds until its start) of each accepted event, in the order of
    starts; `refused`: arrivals that found the queue full; `most_pending`: events that waited at once;
    `busy_s`: seconds of calls, added up; `end`: when the last call ended."""

    waits: list[tuple[float, float]] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    most_pending: int = 0
    busy_s: float = 0.0
    end: float = 0.0


def simulate(arrivals: Iterable[Arrival], lines: list[Line], limits: Limits) -> Outcome:
    """Run these events, sorted by their arrival, through the queue until all have ended."""
    run = _Run(lines, limits)
    for arrival in arrivals:
        run.advance(arrival.at)
        run.join(arrival)
    run.advance(float("inf"))
    return run.outcome


class _Run:
    """The state at one moment, `now`."""

    def __init__(self, lines: list[Line], limits: Limits) -> None:
        self.outcome = Outcome()
        self._limit = [float("inf") if line.limit is None else line.limit for line in lines]
        self._batch = [max(line.batch, 1) for line in lines]
        self._most_running = float("inf") if limits.max_running is None else limits.max_running
        self._max_size = float("inf") if limits.max_size is None else limits.max_size
        self._parallel = max(limits.parallel, 1e-6)
        self._now = self._clock = 0.0
        self._ends: list[tuple[float, int]] = []  # virtual time of a running call's end, its line
        self._running = [0] * len(lines)
        self._waiting: list[deque[Arrival]] = [deque() for _ in lines]
        self._pending = 0
        self._last_start = [0] * len(lines)
        self._starts = 0

    def advance(self, until: float) -> None:
        """Let time pass; calls that end make room for those that wait."""
        ends, outcome = self._ends, self.outcome
        while ends:
            count = len(ends)
            slower = count / self._parallel if count > self._parallel else 1.0
            at = self._now + (ends[0][0] - self._clock) * slower
            if at > until:
                outcome.busy_s += (until - self._now) * count
                self._clock += (until - self._now) / slower
                self._now = until
                return
            outcome.busy_s += (at - self._now) * count
            self._now = at
            self._clock, line = heappop(ends)
            self._running[line] -= 1
            if self._pending:
                self._start_waiting()
        outcome.end = self._now
        if until != float("inf"):
            self._now = until

    def join(self, arrival: Arrival) -> None:
        """An event comes."""
        if self._pending >= self._max_size:
            self.outcome.refused.append(arrival.at)
            return
        line = arrival.line
        self._waiting[line].append(arrival)
        self._pending += 1
        if self._has_room(line):
            self._start(line)
        elif self._pending > self.outcome.most_pending:
            self.outcome.most_pending = self._pending

    def _has_room(self, line: int) -> bool:
        return self._running[line] < self._limit[line] and len(self._ends) < self._most_running

    def _start_waiting(self) -> None:
        """Of lines that could start a call the one whose last start is longest ago, as `claim` chooses."""
        while candidates := [
            line for line, waiting in enumerate(self._waiting) if waiting and self._has_room(line)
        ]:
            self._start(min(candidates, key=self._last_start.__getitem__))

    def _start(self, line: int) -> None:
        waiting, waits = self._waiting[line], self.outcome.waits
        first = waiting[0]
        for _ in range(min(self._batch[line], len(waiting))):
            at = waiting.popleft().at
            waits.append((at, self._now - at))
            self._pending -= 1
        self._running[line] += 1
        self._starts += 1
        self._last_start[line] = self._starts
        heappush(self._ends, (self._clock + first.work, line))
