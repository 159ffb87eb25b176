"""How much memory a point that was not measured could need: a straight line through what was measured, and
above it as much as the line may be wrong. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

#: Of the limit, what a point may need.
SHARE = 0.85
#: Two points make a line and say nothing about its error: so many times its slope is assumed.
STEEPER = 1.25
#: Student's t for one side at 95 %, by the degrees of freedom from 1 on (any table of it); then the normal's.
T = (6.31, 2.92, 2.35, 2.13, 2.02, 1.94, 1.89, 1.86, 1.83, 1.81)
NORMAL = 1.64


class Use(NamedTuple):
    """The most memory with so many calls at once of so many events each."""

    concurrency: int
    batch: int
    memory_bytes: int


class Line(NamedTuple):
    """Fitted by least squares."""

    intercept: float
    slope: float
    spread: float  # standard deviation of what it leaves unexplained; 0 for two points
    points: int
    centre: float
    width: float  # squared distances from the centre, added up


def at_most(uses: Sequence[Use], rest_bytes: int, concurrency: int, batch: int) -> float:
    """An upper bound of the memory at this point, from those on the same axis: the same batch size, or one
    call at a time. `rest_bytes`: in use while nothing runs."""
    same_size = [(use.concurrency, use.memory_bytes) for use in uses if use.batch == batch]
    alone = [(use.batch, use.memory_bytes) for use in uses if use.concurrency == 1]
    if concurrency == 1:
        return _beyond(alone, rest_bytes, batch)
    # As many events in more calls: each call has something of its own besides its events.
    nearest = min(uses, key=lambda use: (abs(use.concurrency * use.batch - concurrency * batch), -use.batch))
    share = concurrency * batch / (nearest.concurrency * nearest.batch)
    of_events = max(share, 1.0) * (nearest.memory_bytes - rest_bytes)
    own = max(0.0, fitted(alone).intercept - rest_bytes) if len(alone) > 1 else of_events
    traded = rest_bytes + of_events + STEEPER * own * max(0, concurrency - nearest.concurrency)
    return min(traded, _beyond(same_size, rest_bytes, concurrency)) if same_size else traded


def fitted(points: Sequence[tuple[float, float]]) -> Line:
    """The line through two points or more."""
    count = len(points)
    centre, middle = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    width = sum((x - centre) ** 2 for x, _ in points)
    slope = sum((x - centre) * (y - middle) for x, y in points) / width
    intercept = middle - slope * centre
    left = sum((y - intercept - slope * x) ** 2 for x, y in points)
    return Line(intercept, slope, (left / (count - 2)) ** 0.5 if count > 2 else 0.0, count, centre, width)


def _beyond(points: Sequence[tuple[float, float]], rest_bytes: int, place: float) -> float:
    known = sorted(points)
    lower = [y for x, y in known if x <= place]
    if len(known) < 2:
        known = [(0.0, float(rest_bytes)), *known]
    if len(known) < 2:
        return float(rest_bytes)
    line, (last, there) = fitted(known), known[-1]
    if line.points == 2:
        found = there + STEEPER * max(line.slope, 0.0) * max(place - last, 0.0)
    else:
        freedom = line.points - 2
        t = T[freedom - 1] if freedom <= len(T) else NORMAL
        error = line.spread * (1 + 1 / line.points + (place - line.centre) ** 2 / line.width) ** 0.5
        found = line.intercept + max(line.slope, 0.0) * place + t * error
    return max([found, *lower])
