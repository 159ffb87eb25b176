"""What somebody who knows the future would pay at least to keep the goal: a bound from below.

Work is taken as a fluid: all replicas can work on any part of it at once, which real calls do not allow. In
order of arrival nobody waits longer than the goal if the work that is left at any moment arrived within the
goal's time. Of each minute's work a tenth may be older. Dynamic programming over (replicas, work left) finds
the cheapest course. A replica is ordered so much earlier as its start takes, and pays for that time and for
the one in which its last visitors leave, as the autoscaler's do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from queueing.tuning.model import Arrival
from tests.bench.scaling.scaled import DRAIN_S, WINDOW_S
from tests.bench.scaling.traces import Shape

STEP_S = 2.0
BIN = 0.5  # seconds of work
LATE = 0.1


def replica_s(arrivals: Sequence[Arrival], shape: Shape) -> float:
    """Seconds of replicas, added up."""
    steps = int(arrivals[-1].at // STEP_S) + 1
    work = np.zeros(steps)
    for one in arrivals:
        work[int(one.at // STEP_S)] += one.work
    most_left = _most_left(work, shape.goal_s)
    bins = int(most_left.max() / BIN) + 2
    left = np.arange(bins) * BIN
    change = shape.lead_s + DRAIN_S
    # cost[n - 1, bin]: the least from here to the end, from behind.
    cost = np.zeros((shape.most, bins))
    for at in range(steps - 1, -1, -1):
        after = np.full((shape.most, bins), np.inf)
        for number in range(1, shape.most + 1):
            rest = np.maximum(left + work[at] - number * STEP_S, 0.0)
            index = np.minimum((rest / BIN).astype(int), bins - 1)
            held = rest <= most_left[at] + BIN
            after[number - 1] = np.where(held, cost[number - 1, index] + number * STEP_S, np.inf)
        # Before this step so many more may have been made ready, or ended.
        cost = np.array(
            [
                np.min([after[m] + change * max(m - n, 0) for m in range(shape.most)], axis=0)
                for n in range(shape.most)
            ]
        )
    return float(cost[0, 0])


def _most_left(work: Any, goal_s: float) -> Any:
    """At the end of each step, the work that may be left."""
    goal, window = round(goal_s / STEP_S), round(WINDOW_S / STEP_S)
    total = np.concatenate([[0.0], np.cumsum(work)])
    ends = np.arange(1, len(work) + 1)
    recent = total[ends] - total[np.maximum(ends - goal - 1, 0)]
    starts = (np.maximum(ends - goal - 1, 0) // window) * window
    minute = total[np.minimum(starts + window, len(work))] - total[starts]
    return recent + LATE * minute
