"""The figures: simulated, the same each time, and on a real platform."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from tests.bench.scaling import clairvoyant
from tests.bench.scaling.real import measured
from tests.bench.scaling.scaled import Scaler
from tests.bench.scaling.traces import Shape, arrivals

if TYPE_CHECKING:
    from tests.bench.sides import Bench

#: Others than those that its constants were chosen on.
SEEDS = range(100, 105)
SHAPES = (
    Shape(name="bursts of 4 minutes"),
    Shape(name="a start of 20 s", lead_s=20.0, goal_s=30.0),
    Shape(name="calls of 8 s", call_s=8.0, goal_s=30.0, quiet=0.03, burst=0.4, lead_s=8.0),
    Shape(name="bursts of 1 minute", quiet=0.15, burst=2.0, quiet_s=240.0, burst_s=60.0),
    Shape(name="a start longer than the goal", lead_s=20.0),
)


def table() -> str:
    """All shapes, as Markdown: means over the seeds."""
    rows = [
        "| visitors | start, goal | minutes within the goal | p90 | replica-hours | clairvoyant | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*rows, *map(_row, SHAPES)])


def _row(shape: Shape) -> str:
    kept, p90, hours, least = [], [], [], []
    for seed in SEEDS:
        events = arrivals(shape, seed)
        ran = Scaler(shape).run(events)
        kept.append(ran.kept(shape.goal_s))
        p90.append(ran.p90())
        hours.append(ran.replica_s / 3600)
        least.append(clairvoyant.replica_s(events, shape) / 3600)
    ratios = [ours / theirs for ours, theirs in zip(hours, least, strict=True)]
    return (
        f"| {shape.name} | {shape.lead_s:g} s, {shape.goal_s:g} s | {statistics.mean(kept):.1%} "
        f"(least {min(kept):.1%}) | {statistics.mean(p90):.1f} s | {statistics.mean(hours):.1f} | "
        f"{statistics.mean(least):.1f} | {statistics.mean(ratios):.2f} (most {max(ratios):.2f}) |"
    )


def scaling(bench: Bench) -> None:
    """A range of replicas under bursts, beside somebody who knows the future."""
    print(f"\n{table()}", flush=True)
    print(f"\n{measured(bench)}")
