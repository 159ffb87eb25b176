"""Visitors who come in bursts: random traces, the same for a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

from queueing.tuning.model import Arrival


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Visitors come at random moments (Poisson), `quiet` or `burst` of them a second, for random times of
    these means (a Markov-modulated process). Calls take lognormal times. `lead_s`: a replica's start."""

    name: str
    quiet: float = 0.15
    burst: float = 1.2
    quiet_s: float = 600.0
    burst_s: float = 240.0
    call_s: float = 2.0
    spread: float = 0.4
    lead_s: float = 4.0
    goal_s: float = 10.0
    most: int = 8
    hours: float = 4.0


def arrivals(shape: Shape, seed: int) -> list[Arrival]:
    """The events of one such time."""
    rng = random.Random(seed)  # noqa: S311
    found, at, is_burst, until = [], 0.0, False, rng.expovariate(1 / shape.quiet_s)
    end = shape.hours * 3600
    mean = shape.call_s
    while at < end:
        step = rng.expovariate(shape.burst if is_burst else shape.quiet)
        if at + step > until:  # memoryless: drawn anew from the moment of the change
            at, is_burst = until, not is_burst
            until += rng.expovariate(1 / (shape.burst_s if is_burst else shape.quiet_s))
            continue
        at += step
        work = mean * rng.lognormvariate(-(shape.spread**2) / 2, shape.spread)
        found.append(Arrival(at, 0, work))
    return [one for one in found if one.at < end]
