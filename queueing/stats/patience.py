"""How long visitors wait before they give up. Those who were served would have waited longer: how much longer
is not known, so their waits count as "at least so long", by the product-limit estimator of Kaplan and Meier
(1958). Pure."""

from __future__ import annotations

from dataclasses import dataclass

from queueing.stats.histograms import Histogram, lower_edge, upper_edge

#: Visitors that gave up, below which nothing is said.
FEWEST = 10


@dataclass(frozen=True, kw_only=True)
class Patience:
    """`steps`: (seconds, share of visitors that are still there then), with falling shares; empty where too
    little was measured, or nobody gave up."""

    steps: tuple[tuple[float, float], ...] = ()

    def time_of(self, share: float) -> float | None:
        """How long, in seconds, until fewer than this share are there; None where no such wait was seen."""
        return next((seconds for seconds, left in self.steps if left < share), None)

    def drawn(self, u: float) -> float:
        """The patience of one visitor in seconds, for `u` drawn evenly from 0 to 1; infinite for those of
        whom it is only known that they waited."""
        before_s, before = 0.0, 1.0
        for seconds, left in self.steps:
            if left <= u:
                return before_s + (seconds - before_s) * (before - u) / (before - left)
            before_s, before = seconds, left
        return float("inf")


def patience(wait: Histogram, left: Histogram) -> Patience:
    """From the waits of those who were served, and of those who gave up."""
    if sum(left.values()) < FEWEST:
        return Patience()
    at_risk = sum(wait.values()) + sum(left.values())
    share, steps = 1.0, []
    for bucket in sorted({*wait, *left}):
        gone, served = left.get(bucket, 0), wait.get(bucket, 0)
        # Within a bucket those served leave the line at all times: half of them count.
        exposed = at_risk - served / 2
        if gone and exposed > 0:
            share *= max(0.0, 1 - gone / exposed)
            edge = upper_edge(bucket)
            steps.append((lower_edge(bucket) if edge == float("inf") else edge, share))
        at_risk -= gone + served
    return Patience(steps=tuple(steps))
