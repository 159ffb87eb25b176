"""Quantiles read from buckets, against the exact ones of the same durations."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from queueing.stats.histograms import (
    LAST,
    added,
    bucket_of,
    lower_edge,
    quantile,
    seconds_in,
    share_over,
    upper_edge,
)
from queueing.store.scripts import LIBRARY

durations = st.lists(st.floats(0, 3600), min_size=1, max_size=300)
STEP = 10**0.1


def counted(values: list[float]) -> Counter[int]:
    return Counter(map(bucket_of, values))


@given(st.floats(0, 10_000))
def test_every_duration_lies_between_the_edges_of_its_bucket(seconds: float) -> None:
    bucket = bucket_of(seconds)
    # The logarithm of an edge may fall to either side of it by the last bit.
    assert lower_edge(bucket) <= seconds * (1 + 1e-12)
    assert seconds <= upper_edge(bucket) * (1 + 1e-12)


@given(durations, st.floats(0, 1))
def test_a_quantile_is_off_by_at_most_one_bucket(values: list[float], q: float) -> None:
    """Of the exact one by the same rule: the value of the event whose step holds the quantile."""
    exact = sorted(values)[min(max(math.ceil(q * len(values)), 1), len(values)) - 1]
    read = quantile(counted(values), q)
    assert read is not None
    if exact <= 0.001:
        assert read <= 0.001
    else:
        # One step: a bucket's width; a hair more at the border of two events of different buckets.
        assert exact / STEP * (1 - 1e-9) <= read <= exact * STEP * (1 + 1e-9)


@given(durations, st.floats(0, 1), st.floats(0, 1))
def test_a_higher_quantile_is_never_shorter(values: list[float], p: float, q: float) -> None:
    low, high = sorted((p, q))
    histogram = counted(values)
    assert (quantile(histogram, low) or 0) <= (quantile(histogram, high) or 0)


@given(durations, st.floats(0.002, 3600))
def test_the_share_over_a_time_counts_all_events_surely_above_and_none_surely_below(
    values: list[float], limit: float
) -> None:
    share = share_over(counted(values), limit)
    surely = sum(v > limit * STEP * (1 + 1e-9) for v in values) / len(values)
    possibly = sum(v > limit / STEP * (1 - 1e-9) for v in values) / len(values)
    assert surely - 1e-9 <= share <= possibly + 1e-9


@given(durations, durations)
def test_adding_histograms_counts_both(one: list[float], other: list[float]) -> None:
    assert added([counted(one), counted(other)]) == counted(one + other)


@given(st.lists(st.floats(0.0011, 3600), min_size=1, max_size=100))
def test_the_seconds_in_it_are_right_within_a_bucket(values: list[float]) -> None:
    total = seconds_in(counted(values))
    assert sum(values) / STEP <= total <= sum(values) * STEP


def test_what_takes_longer_than_an_hour_is_told_as_at_least_that() -> None:
    assert bucket_of(100_000) == LAST
    assert quantile({LAST: 3}, 0.5) == pytest.approx(3981, rel=0.001)
    assert share_over({LAST: 3}, 30) == 1


def test_nothing_counted_has_no_quantile() -> None:
    assert quantile({}, 0.5) is None
    assert share_over({}, 30) == 0


async def test_the_scripts_put_a_duration_into_the_same_bucket(redis: Redis) -> None:
    """`lua/lib/count.lua` and `bucket_of` are one rule in two languages."""
    values = [0, 0.0005, 0.001, 0.0010001, 0.01, 0.5, 1, 1.5, 30, 59.9, 3600, 4000, 1e6]
    values += [0.001 * 1.07**step for step in range(230)]
    library = (LIBRARY / "count.lua").read_text()
    script = "local f = {} for i, v in ipairs(ARGV) do f[i] = bucket(tonumber(v)) end return f"
    found = await redis.eval(f"{library} {script}", 0, *[repr(v) for v in values])
    assert found == [bucket_of(v) for v in values]
