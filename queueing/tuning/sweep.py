"""Which point to measure next: an adaptive sweep over calls at once and batch sizes, given what was measured
so far. Pure, so that a sweep that was broken off goes on from its measurements.

Along one axis throughput first grows and then flattens or falls (Gunther, Guerrilla Capacity Planning, 2007:
the Universal Scalability Law). So calls at once double while they gain, and are halved around the knee. The
batch size, in powers of two, comes first: it costs no second core. Where memory ends a step, batch size is
traded for calls at once. No point is proposed whose memory could exceed the bound
(`queueing.tuning.memory`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from queueing.tuning import memory

#: A doubling that gains less is not worth another one.
GAIN = 0.02
#: Of points this close to the best, the cheapest is chosen.
CLOSE = 0.025
#: At the knee, steps of this share of it are fine enough.
FINE = 8
#: Points of an axis before its knee is looked for.
FEWEST = 3
#: Calls of a point that may fail, as a share.
MOST_FAILED = 0.05
POINTS = 12


@dataclass(frozen=True, order=True)
class Point:
    """So many calls at once, each with so many events."""

    concurrency: int = 1
    batch: int = 1

    @property
    def events(self) -> int:
        """That run at once."""
        return self.concurrency * self.batch


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a point came to. `throughput`: events a second; `error`: its standard error; `p50_s`, `p95_s`: how
    long calls took; `memory_bytes`: the most; `cores`: busy on average; of the device where there is one:
    part of the time in which it worked, and the most bytes. `stopped`: for memory, before its end;
    `crowded`: others had a part of the machine's cores, and none were left."""

    point: Point
    throughput: float
    error: float
    memory_bytes: int
    calls: int = 0
    failed: int = 0
    p50_s: float = 0.0
    p95_s: float = 0.0
    cores: float = 0.0
    gpu_busy: float | None = None
    gpu_memory_bytes: int | None = None
    seconds: float = 0.0
    stopped: bool = False
    crowded: bool = False

    @property
    def is_sound(self) -> bool:
        """Whether it may be chosen."""
        return not self.stopped and self.throughput > 0 and self.failed <= MOST_FAILED * max(self.calls, 1)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What no point may exceed. `memory_bytes`: 0 is no bound; `rest_bytes`: in use while nothing runs."""

    concurrency: int = 40
    batch: int = 1
    memory_bytes: int = 0
    rest_bytes: int = 0
    points: int = POINTS


def next_point(bounds: Bounds, measured: Sequence[Measured]) -> Point | None:
    """The point to measure now; None: enough is known."""
    if len(measured) >= bounds.points:
        return None
    if not measured:
        return Point()
    if any(not one.is_sound and one.point == Point() for one in measured):
        return None  # not even one call at a time works
    if bounds.batch > 1:
        alone = {one.point.batch: one for one in measured if one.point.concurrency == 1}
        batch = _next_size(alone, bounds.batch, lambda b: _fits(bounds, measured, Point(1, b)))
        if batch is not None:
            return Point(1, batch)
    best = _cheapest(measured, CLOSE / 2 if bounds.batch > 1 else CLOSE)
    if best is None:
        return None
    size = best.point.batch
    beside = {one.point.concurrency: one for one in measured if one.point.batch == size}
    calls = _next(beside, bounds.concurrency, lambda n: _fits(bounds, measured, Point(n, size)))
    if calls is not None:
        return Point(calls, size)
    return _traded(bounds, measured, best.point)


def chosen(measured: Sequence[Measured]) -> Measured | None:
    """Of the points close to the best, the one with the fewest events at once; None: none worked."""
    return _cheapest(measured)


def _cheapest(measured: Sequence[Measured], within: float = CLOSE) -> Measured | None:
    sound = [one for one in measured if one.is_sound]
    if not sound:
        return None
    most = max(one.throughput for one in sound)
    close = [one for one in sound if one.throughput >= (1 - within) * most]
    return min(close, key=lambda one: (one.point.events, one.point.concurrency))


def _traded(bounds: Bounds, measured: Sequence[Measured], best: Point) -> Point | None:
    """Up to twice the calls, each with half the events: where memory, not the knee, ended the growth."""
    if best.batch < 2 or _fits(bounds, measured, Point(best.concurrency + 1, best.batch)):
        return None
    there = {one.point for one in measured}
    for calls in range(min(2 * best.concurrency, bounds.concurrency), best.concurrency, -1):
        point = Point(calls, best.batch // 2)
        if point not in there and _fits(bounds, measured, point):
            return point
    return None


def _fits(bounds: Bounds, measured: Sequence[Measured], point: Point) -> bool:
    if not bounds.memory_bytes:
        return True
    uses = [memory.Use(one.point.concurrency, one.point.batch, one.memory_bytes) for one in measured]
    most = memory.at_most(uses, bounds.rest_bytes, point.concurrency, point.batch)
    return most <= bounds.memory_bytes


# --- one axis -----------------------------------------------------------------------------------------


def _next(seen: Mapping[int, Measured], most: int, fits: Callable[[int], bool]) -> int | None:
    """Where to measure next along one axis, of which these were measured; None: its knee is known."""
    places = sorted(seen)
    if not places:
        return 1
    if _grows(seen, places):
        last = places[-1]
        for place in range(min(2 * last, most), last, -1):
            if fits(place):
                return place
    return _finer(seen, places, fits)


def _next_size(seen: Mapping[int, Measured], most: int, fits: Callable[[int], bool]) -> int | None:
    """The same for batch sizes: twice doubled while that gains, then the one between."""
    places = sorted(seen)
    last = places[-1]
    if _grows(seen, places):
        for place in (4 * last, 2 * last):
            if place <= most and fits(place):
                return place
    best = _cheapest(list(seen.values()), CLOSE / 2)
    if best is None:
        return None
    index = places.index(best.point.batch)
    if index and places[index] > 2 * places[index - 1]:
        return places[index] // 2
    if index + 1 < len(places) and places[index + 1] > 2 * places[index]:
        middle = 2 * places[index]
        if _hope(seen, places, index, middle) > (1 + GAIN) * best.throughput and fits(middle):
            return middle
    return None


def _grows(seen: Mapping[int, Measured], places: Sequence[int]) -> bool:
    """Whether another step may gain something: not after one that surely gained too little, nor after two
    that seem to have. Not before the third point: a neighbour may have had the machine during one."""
    last = seen[places[-1]]
    if not last.is_sound:
        return False
    if len(places) < FEWEST:
        return True
    gain, error = _gain(seen[places[-2]], last)
    if gain + error < GAIN:
        return False
    return gain >= GAIN or _gain(seen[places[-3]], seen[places[-2]])[0] >= GAIN


def _gain(before: Measured, after: Measured) -> tuple[float, float]:
    """How much more throughput, as a share, and the standard error of that (by the delta method)."""
    if before.throughput <= 0:
        return float("inf"), 0.0
    ratio = after.throughput / before.throughput
    relative = (before.error / before.throughput) ** 2 + (after.error / max(after.throughput, 1e-12)) ** 2
    return ratio - 1, ratio * relative**0.5


def _finer(seen: Mapping[int, Measured], places: Sequence[int], fits: Callable[[int], bool]) -> int | None:
    """Between two measured places: where more can be hoped for than at the best, or as much for less."""
    best = _cheapest(list(seen.values()))
    if best is None:
        return None
    at = next(place for place in places if seen[place] is best)
    index = places.index(at)
    gap = max(1, at // FINE)
    if index and at - places[index - 1] > gap:
        middle = (at + places[index - 1]) // 2
        return middle if fits(middle) else None
    if index + 1 < len(places) and places[index + 1] - at > gap:
        middle = (at + places[index + 1] + 1) // 2
        if _hope(seen, places, index, middle) > (1 + GAIN) * best.throughput and fits(middle):
            return middle
    return None


def _hope(seen: Mapping[int, Measured], places: Sequence[int], index: int, place: int) -> float:
    """The most throughput there: a curve that flattens stays below the line through the points before."""
    here = seen[places[index]].throughput
    if not index:
        return here * place / places[index]
    before = seen[places[index - 1]].throughput
    slope = (here - before) / (places[index] - places[index - 1])
    return here + max(slope, 0.0) * (place - places[index])
