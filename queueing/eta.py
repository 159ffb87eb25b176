"""How long until it is one's turn: a pure function of what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

FEWEST = 3  # service times below which nothing is promised


@dataclass(frozen=True, slots=True)
class Eta:
    """Seconds until the turn comes: likely, and at most."""

    likely: float
    at_most: float


def quantile(sorted_values: Sequence[float], q: float) -> float:
    """The q-quantile of sorted values, between neighbours by linear interpolation."""
    at = q * (len(sorted_values) - 1)
    low = math.floor(at)
    high = math.ceil(at)
    return sorted_values[low] + (sorted_values[high] - sorted_values[low]) * (at - low)


def estimate(
    durations: Sequence[float], *, ahead: int, running: Sequence[float], concurrency: int, batch: int = 1
) -> Eta | None:
    """When the event with `ahead` events before it starts; None while too little is known.

    Args:
        durations: latest service times of a call, in seconds.
        ahead: pending events before it.
        running: for each call running now, how long it has run, in seconds.
        concurrency: calls at once.
        batch: events that share one call.
    """
    if len(durations) < FEWEST:
        return None
    values = sorted(durations)
    usual, slow = quantile(values, 0.5), quantile(values, 0.9)
    calls_ahead = ahead // max(batch, 1)
    return Eta(
        likely=_turn(usual, calls_ahead, running, concurrency),
        at_most=_turn(slow, calls_ahead, running, concurrency),
    )


def _turn(service: float, calls_ahead: int, running: Sequence[float], concurrency: int) -> float:
    """Start time when every call takes `service` seconds: the first free place after those ahead."""
    # A call over its time may end any moment: half a service time more is the honest middle.
    rests = [service - ran if ran < service else service / 2 for ran in running]
    free_at = sorted([*rests, *[0.0] * max(concurrency - len(running), 0)])[: max(concurrency, 1)]
    places = len(free_at)
    rounds, place = divmod(calls_ahead, places)
    return max(free_at[place], 0.0) + rounds * service
