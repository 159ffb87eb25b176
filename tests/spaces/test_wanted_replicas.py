"""How many replicas a range wants: a pure function, and what it does over time in the queue's model."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queueing.eta import Service
from queueing.tuning.model import Arrival
from spaces.scaling.arrivals import LATELY_S, rates, since
from spaces.scaling.wanted import Decision, Group, Load, Range, Replicas, decide
from tests.bench.scaling.scaled import Scaler
from tests.bench.scaling.traces import Shape, arrivals

QUIET_S = 30.0
ALLOWED = Range(least=1, most=6, goal_s=10.0)
ONE = Replicas(ordered=1, serving=1, lead_s=4.0)


def takes(seconds: float) -> Service:
    return Service(mean=seconds, variance=0.0, calls=20.0, times=(seconds,) * 20)


def load(waiting: int = 0, *, rate: float = 0.0, call_s: float = 2.0, **of_group: Any) -> Load:
    """So many who have just joined, behind one replica that is free."""
    group: dict[str, Any] = {"slots": 1, "free": [0.0], "line": [("f", 0.0)] * waiting} | of_group
    return Load(groups=[Group(arrivals={"f": rate}, **group)], services={"f": takes(call_s)})


def now(found: Load, replicas: Replicas = ONE, allowed: Range = ALLOWED, **known: Any) -> Decision:
    given: dict[str, Any] = {"now": 1000.0, "needed_at": {}, "quiet_s": QUIET_S} | known
    return decide(found, replicas, allowed, **given)


def test_a_line_within_the_goal_wants_none_more() -> None:
    found = now(load(5))
    assert (found.wanted, found.needed_at) == (1, {1: 1000.0})
    assert found.wait_s == pytest.approx(8.03)
    assert now(load()).wanted == 1


def test_a_burst_wants_as_many_as_bring_everybody_within_the_goal_at_once() -> None:
    found = now(load(11))
    assert found.wanted == 3
    assert found.wait_s == pytest.approx(20.03)
    assert now(load(1000)).wanted == ALLOWED.most


def test_those_who_join_until_it_could_serve_count() -> None:
    assert now(load(4, rate=0.1)).wanted == 1
    assert now(load(4, rate=1.5)).wanted > 1


def test_what_starts_already_is_not_ordered_again() -> None:
    coming = replace(ONE, ordered=3, coming=(2.0, 2.0))
    assert now(load(11), coming).wanted == 3
    assert now(load(11), replace(ONE, ordered=3, coming=(4.0, 4.0), serving=1)).wanted == 3


def test_none_is_ordered_for_those_whom_it_could_not_help() -> None:
    late = load(line=[("f", 60.0)] * 3)  # they start before another one could serve
    assert now(late, replace(ONE, lead_s=8.0)).wanted == 1
    assert now(load(line=[("f", 60.0)] * 30), replace(ONE, lead_s=8.0)).wanted > 1


def test_a_longer_start_is_begun_earlier() -> None:
    wanted = [now(load(2, rate=0.6), replace(ONE, lead_s=lead_s)).wanted for lead_s in (1.0, 30.0)]
    assert wanted == [1, 2]


def test_down_only_after_it_was_unneeded_for_the_quiet_time() -> None:
    three = Replicas(ordered=3, serving=3, lead_s=4.0)
    free = load(free=[0.0] * 3)
    assert now(free, three, needed_at={1: 999.0, 2: 971.0, 3: 969.0}).wanted == 2
    assert now(free, three, needed_at={3: 1000.0 - QUIET_S + 1}).wanted == 3
    assert now(free, three, needed_at={3: 900.0}).wanted == 1
    assert now(free, three, needed_at={}).wanted == 3, "nothing is known of the time before"
    assert now(free, replace(three, lead_s=200.0), needed_at={3: 900.0}).wanted == 3, "its start takes longer"


def test_none_is_taken_away_from_calls_that_keep_it_busy() -> None:
    three = Replicas(ordered=3, serving=3, lead_s=4.0)
    long_ago = {3: 1.0}
    assert now(load(rate=0.95, free=[0.0] * 3), three, needed_at=long_ago).wanted == 3
    assert now(load(rate=0.80, free=[0.0] * 3), three, needed_at=long_ago).wanted == 2


def test_capacity_and_quota_bound_it() -> None:
    assert now(load(1000), replace(ONE, room=2)).wanted == 2
    assert now(load(1000), replace(ONE, room=0)).wanted == 1


def test_a_range_that_was_narrowed_holds_at_once() -> None:
    assert now(load(), replace(ONE, ordered=9)).wanted == ALLOWED.most
    assert now(load(), allowed=Range(least=3, most=6, goal_s=10)).wanted == 3


def test_calls_of_unknown_length_bring_one_more_at_a_time() -> None:
    unknown = Load(groups=[Group(slots=1, free=[0.0], line=[("new", 11.0)] * 50)])
    assert now(unknown) == Decision(2, None, {1: 1000.0, 2: 1000.0})
    assert now(unknown, replace(ONE, ordered=2, coming=(3.0,))).wanted == 2
    assert now(Load(groups=[Group(slots=1, free=[0.0], line=[("new", 9.0)] * 50)])).wanted == 1


def test_each_group_has_the_wait_of_its_own_slots() -> None:
    groups = [
        Group(slots=4, free=[0.0] * 4, line=[("f", 0.0)] * 11),
        Group(slots=1, free=[0.0], line=[("g", 0.0)] * 11),
    ]
    assert now(Load(groups=groups[:1], services={"f": takes(2)})).wanted == 1
    assert now(Load(groups=groups, services={"f": takes(2), "g": takes(2)})).wanted == 3


loads = st.builds(
    load,
    st.integers(0, 60),
    rate=st.floats(0, 5),
    call_s=st.floats(0.05, 30),
    slots=st.integers(1, 4),
)
states = st.builds(
    Replicas,
    ordered=st.integers(1, 8),
    serving=st.just(1),
    coming=st.lists(st.floats(0, 60), max_size=3),
    lead_s=st.floats(0.5, 60),
    room=st.none() | st.integers(0, 9),
)
ranges = st.builds(
    lambda least, more, goal_s: Range(least=least, most=least + more, goal_s=goal_s),
    st.integers(1, 4), st.integers(0, 5), st.floats(1, 120),
)  # fmt: skip
past = st.dictionaries(st.integers(1, 10), st.floats(900, 1000), max_size=4)


@given(loads, states, ranges, past)
@settings(max_examples=150, deadline=None)
def test_it_is_always_within_the_bounds(
    found: Load, replicas: Replicas, allowed: Range, needed_at: dict[int, float]
) -> None:
    wanted = now(found, replicas, allowed, needed_at=needed_at).wanted
    assert allowed.least <= wanted <= allowed.most
    assert replicas.room is None or wanted <= max(replicas.room, allowed.least)


@given(
    st.integers(0, 40), st.floats(0, 4), st.floats(0.05, 20), states, ranges,
    st.integers(0, 20), st.floats(0, 2), st.floats(0, 10),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_more_to_do_never_wants_fewer(
    waiting: int, rate: float, call_s: float, replicas: Replicas, allowed: Range,
    more: int, faster: float, longer: float,
) -> None:  # fmt: skip
    fewer = now(load(waiting, rate=rate, call_s=call_s), replicas, allowed).wanted
    assert fewer <= now(load(waiting + more, rate=rate, call_s=call_s), replicas, allowed).wanted
    assert fewer <= now(load(waiting, rate=rate + faster, call_s=call_s), replicas, allowed).wanted
    assert fewer <= now(load(waiting, rate=rate, call_s=call_s + longer), replicas, allowed).wanted


@given(st.floats(0.05, 2.0), st.floats(0.3, 6.0), st.floats(1.0, 30.0))
@settings(max_examples=15, deadline=None)
def test_under_a_constant_load_the_number_settles(rate: float, call_s: float, lead_s: float) -> None:
    shape = Shape(name="constant", lead_s=lead_s, most=20)
    events = [Arrival(n / rate, 0, call_s) for n in range(math.ceil(900 * rate))]
    ran = Scaler(shape, quiet_s=QUIET_S).run(events)
    late = [at for at, _ in ran.steps if at > 450]
    assert len(late) <= 1, f"{ran.steps} under {rate * call_s:.2f} busy slots"


def test_none_is_taken_away_within_the_quiet_time_after_one_was_added() -> None:
    shape = Shape(name="bursts", hours=1.0)
    steps = Scaler(shape, quiet_s=QUIET_S).run(arrivals(shape, 1)).steps
    changes = [(at, number - before) for (_, before), (at, number) in pairwise(steps)]
    downs = [at for at, change in changes if change < 0]
    assert downs
    assert not any(at - QUIET_S < up < at for at in downs for up, change in changes if change > 0)


def test_rates_follow_what_comes() -> None:
    found = rates({}, {"f": 60}, LATELY_S)
    assert found["f"] == pytest.approx(4 * (1 - math.exp(-1)))
    for _ in range(8):
        found = rates(found, {}, LATELY_S)
    assert found["f"] < 0.01
    assert rates(found, {}, 10 * LATELY_S) == {}


def test_events_are_counted_once_over_the_minutes() -> None:
    assert since({}, {1: {"f": 2}, 2: {"f": 1}}) == {"f": 3}
    assert since({1: {"f": 2}, 2: {"f": 1}}, {2: {"f": 4, "g": 1}, 3: {"f": 5}}) == {"f": 8, "g": 1}
    assert since({2: {"f": 9}}, {2: {"f": 4}}) == {}, "the counters were lost"
