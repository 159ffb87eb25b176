"""How long until an event starts: pure functions of measurements.

Waiting events are laid out on the free slots, each as long as its function's calls took on average; that
gives the likely time. The upper bound adds the variance of those calls, the uncertainty of few measurements,
and the spread of what is left of running calls. With an unmeasured function ahead there is no estimate."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

FEWEST = 3  # calls of a function below which nothing is promised
FADE = 0.98  # each call counts this much of the next newer one
#: Standard deviations above the mean that hold about 92 % of what comes, for one call of any usual
#: distribution (even, normal, exponential, lognormal) as for a long line of them.
SURE = 1.5
JITTER_S = 0.03  # hand-overs between processes: no promise is finer


@dataclass(frozen=True, slots=True)
class Eta:
    """Seconds until the turn comes: likely, and at most."""

    likely: float
    at_most: float


def eta_fields(eta: Eta | None) -> dict[str, float | None]:
    """The ETA's fields in messages and answers; null: nothing is known yet."""
    return {"eta": eta.likely if eta else None, "eta_max": eta.at_most if eta else None}


@dataclass(frozen=True, slots=True)
class Service:
    """How long one function's calls take, in seconds; `batch`: its own largest batch, 0 for none."""

    mean: float
    variance: float
    calls: float  # how many equally weighted measurements the weighted ones are worth
    times: tuple[float, ...]  # newest first
    batch: int = 0


def quantile(sorted_values: Sequence[float], q: float) -> float:
    """The q-quantile of sorted values, between neighbours by linear interpolation."""
    at = q * (len(sorted_values) - 1)
    low = math.floor(at)
    high = math.ceil(at)
    return sorted_values[low] + (sorted_values[high] - sorted_values[low]) * (at - low)


def measured(times: Sequence[float], batch: int = 0) -> Service | None:
    """The service time from a function's latest calls, newest first; None while there are too few."""
    if len(times) < FEWEST:
        return None
    mean, variance, worth = _moments(times)
    # The spread of a handful is easily underrated.
    return Service(mean, variance * worth / (worth - 1), worth, tuple(times), batch)


def _moments(times: Sequence[float], beyond: float = -1.0) -> tuple[float, float, float]:
    """Mean, variance and worth of the times longer than `beyond`, older ones counting less."""
    weight, total, of_times, of_squares, squared = 1.0, 0.0, 0.0, 0.0, 0.0
    for value in times:
        if value > beyond:
            total += weight
            squared += weight * weight
            of_times += weight * value
            of_squares += weight * value * value
        weight *= FADE
    if not total:
        return 0.0, 0.0, 0.0
    mean = of_times / total
    return mean, max(of_squares / total - mean * mean, 0.0), total * total / squared


def rest(service: Service, ran: float) -> tuple[float, float]:
    """Mean and variance of what is left of a call that has run so long, from the calls that ran longer."""
    mean, variance, worth = _moments(service.times, beyond=ran)
    if worth >= FEWEST:
        return mean - ran, variance
    # Longer than (nearly) all before: it may end any moment, or have got stuck.
    half = max(service.mean, ran) / 2
    return half, half * half


@dataclass(slots=True)
class Forecast:
    """When each event in line starts, by position; the last entry is for one that joins now."""

    likely: list[float] = field(default_factory=list)
    variance: list[float] = field(default_factory=list)

    def behind(self, count: int) -> Forecast:
        """Of those behind the first ones."""
        return Forecast(self.likely[count:], self.variance[count:]) if count else self

    def at(self, position: int) -> Eta | None:
        """The promise for this position; None where something ahead of it is unknown."""
        if position >= len(self.likely):
            return None
        likely = self.likely[position]
        return Eta(likely, likely + SURE * math.sqrt(self.variance[position]) + JITTER_S)


def forecast(
    line: Sequence[str],
    *,
    running: Sequence[tuple[str, float]],
    services: Mapping[str, Service],
    concurrency: int,
    max_batch: int = 1,
    alone: int = 0,
    start: Eta | None = None,
    further: Sequence[float] = (),
    joins: Sequence[float] = (),
) -> Forecast:
    """When everybody in a line starts.

    Args:
        line: the function of each waiting event, in the order of service.
        running: for each call running now, its function ("": unknown, of any) and how long it has run.
        services: what is known of each function.
        concurrency: calls at once.
        max_batch: the most events in one call; 1 where batching is off.
        alone: how many at the head of the line are never put into a batch (they have failed in one).
        start: the time until the Space runs, where it does not.
        further: for each slot beyond `concurrency`, seconds until it is free.
        joins: for each event of the line, seconds until it joins; empty: all are there.
    """
    slots = concurrency if further else max(concurrency, 1)
    free, spread = free_slots(running, services, slots)
    if start is not None:
        free = [start.likely] * slots
        spread += ((start.at_most - start.likely) / SURE * slots) ** 2
    elif free is None:
        return Forecast()
    free += further
    heapq.heapify(free)
    return _lay_out(line, free, spread, services, max_batch, alone, joins)


def free_slots(
    running: Sequence[tuple[str, float]], services: Mapping[str, Service], slots: int
) -> tuple[list[float] | None, float]:
    """When each slot is free, and the spread of that; None where a running call's function is unmeasured."""
    free, spread = [], 0.0
    for kind, ran in running:
        # A call whose event was cancelled runs on nameless: take it for the longest.
        service = services.get(kind) if kind else max(services.values(), key=lambda s: s.mean, default=None)
        if service is None:
            return None, 0.0
        left, variance = rest(service, ran)
        free.append(left)
        spread += variance
    # After concurrency_count was lowered, more calls run than may: the last ones to end free no slot.
    free = sorted(free)[max(len(free) - slots, 0) :]
    return [0.0] * (slots - len(free)) + free, spread


def _lay_out(
    line: Sequence[str],
    free: list[float],
    spread: float,
    services: Mapping[str, Service],
    max_batch: int,
    alone: int,
    joins: Sequence[float],
) -> Forecast:
    """Put call after call on the slot that is free first."""
    found = Forecast()
    likely, variance = found.likely, found.variance
    share = 1 / len(free) ** 2  # the part of the whole work's spread that falls on one slot
    known: dict[str, tuple[float, float, float, int]] = {
        kind: (s.mean, s.variance, s.variance / s.calls, min(s.batch, max_batch))
        for kind, s in services.items()
    }
    calls_of: dict[str, int] = dict.fromkeys(known, 0)
    filling: dict[str, tuple[int, float, float]] = {}  # batches that have room: room, start, variance
    for position, kind in enumerate(line):
        joins_at = joins[position] if joins else 0.0
        if kind in filling and position >= alone and joins_at <= filling[kind][1]:
            room, at, unsure = filling[kind]
            likely.append(at)
            variance.append(unsure)
            if room > 1:
                filling[kind] = (room - 1, at, unsure)
            else:
                del filling[kind]
            continue
        at, unsure = max(free[0], joins_at), spread * share
        likely.append(at)
        variance.append(unsure)
        if kind not in known:
            return found
        mean, varied, mistaken, batch = known[kind]
        heapq.heapreplace(free, at + mean)
        # Each call varies by itself; an error in the measured mean is the same in all calls.
        spread += varied + (2 * calls_of[kind] + 1) * mistaken
        calls_of[kind] += 1
        if batch > 1 and position >= alone:
            filling[kind] = (batch - 1, at, unsure)
    end = (0, free[0], spread * share)
    if len(known) == 1:  # an event that joins now joins the batch that has room
        end = filling.get(next(iter(known)), end)
    likely.append(end[1])
    variance.append(end[2])
    return found
