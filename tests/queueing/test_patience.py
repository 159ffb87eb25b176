"""How long visitors wait before they give up."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from queueing.stats.histograms import bucket_of, upper_edge
from queueing.stats.patience import Patience, patience


def test_it_is_that_of_visitors_whose_patience_is_known() -> None:
    """Half of them are gone after 60 s, exponentially; each finds a line of some length, whoever they are."""
    rng = random.Random(5)  # noqa: S311
    wait: Counter[int] = Counter()
    left: Counter[int] = Counter()
    for _ in range(20_000):
        offered, bears = rng.uniform(0, 300), rng.expovariate(math.log(2) / 60)
        (left if bears < offered else wait)[bucket_of(min(offered, bears))] += 1
    found = patience(wait, left)
    assert found.time_of(0.5) == pytest.approx(60, rel=0.35)  # a bucket is 26 % wide
    for seconds, share in found.steps:
        assert share == pytest.approx(0.5 ** (seconds / 60), abs=0.03)
    drawn = sorted(found.drawn(rng.random()) for _ in range(2000))
    assert drawn[1000] == pytest.approx(60, rel=0.2)


def test_those_who_gave_up_alone_would_mislead() -> None:
    """A hundred were served after 100 s, ten gave up after 10 s: most visitors wait longer than 10 s."""
    found = patience({bucket_of(100): 100}, {bucket_of(10): 10})
    assert found.time_of(0.5) is None
    ((seconds, share),) = found.steps
    assert seconds == upper_edge(bucket_of(10))
    assert share == pytest.approx(100 / 110)
    assert found.drawn(0.5) == math.inf
    assert found.drawn(0.95) < seconds


def test_a_few_say_nothing() -> None:
    assert patience({bucket_of(1): 100}, {bucket_of(10): 9}) == Patience()
    assert patience({}, {}) == Patience()
    assert Patience().drawn(0.0) == math.inf


def test_all_gave_up() -> None:
    found = patience({}, {bucket_of(10): 20})
    assert found.time_of(0.5) == upper_edge(bucket_of(10))
    assert all(found.drawn(u) <= upper_edge(bucket_of(10)) for u in (0.0, 0.5, 1.0))
