"""Histograms of durations, as counts by bucket: ten buckets a decade, from 1 ms to above 1 h. Pure.

Bucket 0 holds what took up to 1 ms, bucket n what took up to 1 ms x 10^(n/10), the last one everything
longer: a quantile read from them is off by at most one bucket, 26 %, and usually by far less.
`bucket` in `lua/lib/count.lua` is the same rule.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

FIRST_S = 0.001
PER_DECADE = 10
LAST = 67  # what took longer than the upper edge of bucket 66, 3,981 s

Histogram = Mapping[int, int]


def bucket_of(seconds: float) -> int:
    """The bucket a duration is counted in."""
    if seconds <= FIRST_S:
        return 0
    return min(LAST, math.ceil(PER_DECADE * math.log10(seconds * 1000)))


def upper_edge(bucket: int) -> float:
    """The longest duration of a bucket, in seconds; infinite for the last."""
    return math.inf if bucket >= LAST else FIRST_S * 10 ** (bucket / PER_DECADE)


def lower_edge(bucket: int) -> float:
    """The duration above which a bucket begins, in seconds."""
    return 0.0 if bucket == 0 else FIRST_S * 10 ** ((bucket - 1) / PER_DECADE)


def added(histograms: Iterable[Histogram]) -> Counter[int]:
    """All of them together."""
    total: Counter[int] = Counter()
    for histogram in histograms:
        total.update(histogram)
    return total


def quantile(histogram: Histogram, q: float) -> float | None:
    """The q-quantile in seconds, interpolated in its bucket (geometrically, as the buckets are made); None
    where nothing was counted. In the open last bucket: its lower edge, "at least so long"."""
    total = sum(histogram.values())
    if total <= 0:
        return None
    # The middle of each event's own step, so that one event alone lies in the middle of its bucket.
    wanted = min(max(q * total, 0.5), total - 0.5)
    below = 0
    for bucket in sorted(histogram):
        count = histogram[bucket]
        if count and below + count >= wanted:
            return within(bucket, (wanted - below) / count)
        below += count
    raise AssertionError("the counts add up to the total")


def within(bucket: int, share: float) -> float:
    """The duration that has this share of the bucket's events below it."""
    low, high = lower_edge(bucket), upper_edge(bucket)
    if math.isinf(high):
        return low
    return low + share * high if low == 0 else low * (high / low) ** share


def share_over(histogram: Histogram, seconds: float) -> float:
    """The share of events, 0 to 1, that took longer than this; 0 where nothing was counted."""
    total = sum(histogram.values())
    if total <= 0:
        return 0.0
    over = 0.0
    for bucket, count in histogram.items():
        low, high = lower_edge(bucket), upper_edge(bucket)
        if low >= seconds:
            over += count
        elif high > seconds and not math.isinf(high):
            inside = (seconds / high) if low == 0 else math.log(seconds / low) / math.log(high / low)
            over += count * (1 - inside)
    return over / total


def seconds_in(histogram: Histogram) -> float:
    """All durations added up, in seconds, each taken as the middle of its bucket."""
    return sum(count * within(bucket, 0.5) for bucket, count in histogram.items())
