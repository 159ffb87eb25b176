"""Lines under a total limit: each call waits for a slot of its own line and for one of all. When does each
start?

Laid out as `claim.lua` chooses: of the lines that may start a call the one served longest ago. Newcomers of
other lines may still go first, as under `fair`: a time is the best estimate of this moment."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from queueing.eta import SURE, Eta, Forecast, Service, forecast, free_slots


@dataclass(frozen=True, slots=True)
class Waiting:
    """One of the lines that are laid out beside each other."""

    kinds: Sequence[str]  # the function of each waiting event, in the order of service
    running: Sequence[tuple[str, float]]  # for each call running now, its function and how long it has run
    slots: int  # calls at once
    first: int = 0  # how many at the head come before all lines, and are never put into a batch
    apart: bool = False  # whether it has slots of its own, whatever runs in others


def forecasts(
    lines: Sequence[Waiting],
    *,
    total: int | None,
    services: Mapping[str, Service],
    max_batch: int = 1,
    start: Eta | None = None,
) -> list[Forecast]:
    """When everybody in each line starts; the lines in the order of their last starts, longest ago first.
    `total`: calls at once in all lines together; None: as many as each line may have."""
    beside = [line for line in lines if not line.apart]
    # Where no line ever waits for another one's calls, each is laid out by itself.
    shared = total is not None and sum(w.slots for w in beside if w.kinds or w.running) + 1 > total
    together = iter(_together(beside, total or 0, services, max_batch, start) if shared else ())
    return [
        next(together)
        if shared and not line.apart
        else forecast(
            line.kinds,
            running=line.running,
            services=services,
            concurrency=line.slots,
            max_batch=max_batch,
            alone=line.first,
            start=start,
        )
        for line in lines
    ]


@dataclass(slots=True)
class _Line:
    waiting: Waiting
    free: list[float]  # heap: when each slot is free
    found: Forecast = field(default_factory=Forecast)
    at: int = 0  # the next one

    @property
    def kind(self) -> str | None:
        """The next one's function; None: an event that joins now."""
        return self.waiting.kinds[self.at] if self.at < len(self.waiting.kinds) else None

    def starts(self, likely: float, variance: float) -> None:
        self.found.likely.append(likely)
        self.found.variance.append(variance)
        self.at += 1


def _together(
    lines: Sequence[Waiting],
    total: int,
    services: Mapping[str, Service],
    max_batch: int,
    start: Eta | None,
) -> list[Forecast]:
    """The same, with one total; without estimates behind a call of unknown length."""
    free, spread = free_slots([call for line in lines for call in line.running], services, total)
    own = [free_slots(line.running, services, line.slots)[0] for line in lines]
    if start is not None:
        free, own = [start.likely] * total, [[start.likely] * line.slots for line in lines]
        spread += ((start.at_most - start.likely) / SURE * total) ** 2
    if free is None or None in own:
        return [Forecast() for _ in lines]
    every = [_Line(line, sorted(mine)) for line, mine in zip(lines, own, strict=True) if mine is not None]
    plan = _Plan(sorted(free), spread, services, max_batch)
    if plan.take([line for line in every if line.waiting.first], first=True):
        plan.take(every, first=False)
    return [line.found for line in every]


class _Plan:
    """The slots of all lines together, as they are taken."""

    def __init__(
        self, free: list[float], spread: float, services: Mapping[str, Service], max_batch: int
    ) -> None:
        self.free, self.spread, self.services, self.max_batch = free, spread, services, max_batch
        self.calls: dict[str, int] = dict.fromkeys(services, 0)

    def take(self, lines: list[_Line], *, first: bool) -> bool:
        """Start call after call: those that come before all, or all and then one that joins now. False: one
        is of unknown length, so there is no estimate for any behind it."""
        going = list(lines)
        while going:
            # Of the lines whose own slots are free when the next one of all is: served longest ago; else the
            # one that is free first.
            at = max(self.free[0], min(line.free[0] for line in going))
            line = next(line for line in going if line.free[0] <= at)
            going.remove(line)
            if not self._start(line, at):
                return False
            limit = line.waiting.first if first else len(line.waiting.kinds) + 1
            if line.at < limit:
                going.append(line)
        return True

    def _start(self, line: _Line, at: float) -> bool:
        kind, variance = line.kind, self.spread / len(self.free) ** 2
        line.starts(at, variance)
        if kind is None:
            return True
        service = self.services.get(kind)
        if service is None:
            return False
        heapq.heapreplace(self.free, at + service.mean)
        heapq.heapreplace(line.free, at + service.mean)
        # Each call varies by itself; an error in the measured mean is the same in all calls.
        mistaken = service.variance / service.calls
        self.spread += service.variance + (2 * self.calls[kind] + 1) * mistaken
        self.calls[kind] += 1
        self._fill(line, kind, min(service.batch, self.max_batch), at, variance)
        return True

    def _fill(self, line: _Line, kind: str, batch: int, at: float, variance: float) -> None:
        """Those of the same function right behind it start with it, as far as its batch has room."""
        while batch > 1 and line.at > line.waiting.first and line.kind == kind:
            line.starts(at, variance)
            batch -= 1
