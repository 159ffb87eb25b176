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
    """One event: when it comes, in seconds; the number of its line; the seconds of work of its call; the
    seconds of waiting after which its visitor leaves."""

    at: float
    line: int
    work: float
    patience: float = float("inf")


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
    starts; `refused`: arrivals that found the queue full; `left`: those of visitors who gave up;
    `most_pending`: events that waited at once; `busy_s`: seconds of calls, added up; `end`: when the last
    call ended."""

    waits: list[tuple[float, float]] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    left: list[float] = field(default_factory=list)
    most_pending: int = 0
    busy_s: float = 0.0
    end: float = 0.0


def simulate(arrivals: Iterable[Arrival], lines: list[Line], limits: Limits) -> Outcome:
    """Run these events, sorted by their arrival, through the queue until all have ended."""
    run = Run(lines, limits)
    for arrival in arrivals:
        run.advance(arrival.at)
        run.join(arrival)
    run.advance(float("inf"))
    return run.outcome


class Run:
    """The state at one moment, `now`."""

    def __init__(self, lines: list[Line], limits: Limits) -> None:
        self.outcome = Outcome()
        self._batch = [max(line.batch, 1) for line in lines]
        self._max_size = float("inf") if limits.max_size is None else limits.max_size
        self._limit_to(lines, limits)
        self._now = self._clock = 0.0
        self._ends: list[tuple[float, int]] = []  # virtual time of a running call's end, its line
        self._running = [0] * len(lines)
        self._waiting: list[deque[tuple[int, Arrival]]] = [deque() for _ in lines]
        self._joined = 0
        # When those leave who have no patience for more, their numbers while they wait, and those who left.
        self._deadlines: list[tuple[float, int, float]] = []
        self._may_leave: set[int] = set()
        self._gone: set[int] = set()
        self._pending = 0
        self._last_start = [0] * len(lines)
        self._starts = 0

    def advance(self, until: float) -> None:
        """Let time pass; calls that end make room for those that wait, as far as they do."""
        ends, outcome = self._ends, self.outcome
        while ends:
            count = len(ends)
            slower = count / self._parallel if count > self._parallel else 1.0
            at = self._now + (ends[0][0] - self._clock) * slower
            if self._deadlines:
                self._leave(min(at, until))
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

    def _limit_to(self, lines: list[Line], limits: Limits) -> None:
        self._limit = [float("inf") if line.limit is None else line.limit for line in lines]
        self._most_running = float("inf") if limits.max_running is None else limits.max_running
        self._parallel = max(limits.parallel, 1e-6)

    def change(self, lines: list[Line], limits: Limits) -> None:
        """From now on as many calls at once as these allow; what runs goes on."""
        self._limit_to(lines, limits)
        self._start_waiting()

    def join(self, arrival: Arrival) -> None:
        """An event comes."""
        if self._pending >= self._max_size:
            self.outcome.refused.append(arrival.at)
            return
        line = arrival.line
        self._joined += 1
        self._waiting[line].append((self._joined, arrival))
        self._pending += 1
        if self._has_room(line):
            self._start(line)
            return
        self.outcome.most_pending = max(self.outcome.most_pending, self._pending)
        if arrival.patience != float("inf"):
            self._may_leave.add(self._joined)
            heappush(self._deadlines, (arrival.at + arrival.patience, self._joined, arrival.at))

    def _leave(self, until: float) -> None:
        """Those whose patience ends leave the line."""
        while self._deadlines and self._deadlines[0][0] <= until:
            _, number, at = heappop(self._deadlines)
            if number in self._may_leave:
                self._may_leave.remove(number)
                self._gone.add(number)
                self._pending -= 1
                self.outcome.left.append(at)

    def _waits(self, line: int) -> bool:
        """Whether somebody is in this line; those who left it drop out of it here."""
        waiting = self._waiting[line]
        while waiting and waiting[0][0] in self._gone:
            self._gone.remove(waiting.popleft()[0])
        return bool(waiting)

    def _has_room(self, line: int) -> bool:
        return self._running[line] < self._limit[line] and len(self._ends) < self._most_running

    def _start_waiting(self) -> None:
        """Of lines that could start a call the one whose last start is longest ago, as `claim` chooses."""
        while candidates := [
            line for line in range(len(self._waiting)) if self._has_room(line) and self._waits(line)
        ]:
            self._start(min(candidates, key=self._last_start.__getitem__))

    def _start(self, line: int) -> None:
        work = self._waiting[line][0][1].work
        room = self._batch[line]
        while room and self._waits(line):
            number, arrival = self._waiting[line].popleft()
            self.outcome.waits.append((arrival.at, self._now - arrival.at))
            self._may_leave.discard(number)
            self._pending -= 1
            room -= 1
        self._running[line] += 1
        self._starts += 1
        self._last_start[line] = self._starts
        heappush(self._ends, (self._clock + work, line))
