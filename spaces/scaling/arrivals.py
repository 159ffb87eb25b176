"""How many events a second come, from counters that are read now and then. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

#: What came so many seconds ago counts a third of what comes now.
LATELY_S = 15.0
#: Rates below are none.
LEAST = 1e-4

ByMinute = Mapping[int, Mapping[str, int]]


def since(before: ByMinute, now: ByMinute) -> Counter[str]:
    """The events of each function since `before` was read, both by minute."""
    found: Counter[str] = Counter()
    for minute, counts in now.items():
        found.update(counts)
        found.subtract(before.get(minute, {}))
    return +found


def rates(before: Mapping[str, float], came: Mapping[str, int], passed_s: float) -> dict[str, float]:
    """Function -> events a second, after so many came in some seconds: an exponentially weighted mean."""
    old = math.exp(-passed_s / LATELY_S)
    found = {
        fn: before.get(fn, 0.0) * old + came.get(fn, 0) / passed_s * (1 - old)
        for fn in before.keys() | came.keys()
    }
    return {fn: rate for fn, rate in found.items() if rate > LEAST}
