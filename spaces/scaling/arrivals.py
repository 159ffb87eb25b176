"""How many events a second come, from counters that are read now and then. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Seconds back of which the arrivals count most: what is older by so much counts a third.
LATELY_S = 15.0


@dataclass(frozen=True, slots=True)
class Rates:
    """`counted`: each function's events so far, at the moment `at` in Unix seconds. `a_second`: function ->
    events a second, lately."""

    at: float | None = None
    counted: Mapping[str, int] = field(default_factory=dict)
    a_second: Mapping[str, float] = field(default_factory=dict)


def counted(before: Rates, now: Mapping[str, int], at: float) -> Rates:
    """The rates after another look at the counters: an exponentially weighted mean."""
    if before.at is None or at <= before.at:
        return Rates(at, now, before.a_second)
    passed = at - before.at
    old = math.exp(-passed / LATELY_S)
    found = {}
    for name in now.keys() | before.a_second.keys():
        came = max(now.get(name, 0) - before.counted.get(name, 0), 0)
        rate = before.a_second.get(name, 0.0) * old + came / passed * (1 - old)
        if rate > 1e-4:
            found[name] = rate
    return Rates(at, now, found)
