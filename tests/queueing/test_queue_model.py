"""The model behind "what if": against queueing theory, and against a slow model that is plainly right."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueing.tuning.model import Arrival, Limits, Line, Outcome, simulate


def poisson(rate: float, mean: float, count: int) -> list[Arrival]:
    """Events at random moments, with exponential service times."""
    rng, at, found = random.Random(7), 0.0, []  # noqa: S311
    for _ in range(count):
        at += rng.expovariate(rate)
        found.append(Arrival(at, 0, rng.expovariate(1 / mean)))
    return found


def mean_wait(outcome: Outcome) -> float:
    return sum(wait for _, wait in outcome.waits) / len(outcome.waits)


def erlang_c_wait(rate: float, mean: float, servers: int) -> float:
    """The mean wait of M/M/c (Kleinrock, Queueing Systems I, 3.5)."""
    load = rate * mean
    terms = [load**n / math.factorial(n) for n in range(servers)]
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(terms) + last) * mean / (servers - load)


@pytest.mark.parametrize(("rate", "servers"), [(0.5, 1), (2.4, 4)])
def test_waits_are_those_of_erlangs_formula(rate: float, servers: int) -> None:
    outcome = simulate(poisson(rate, 1.0, 60_000), [Line(limit=servers)], Limits())
    assert mean_wait(outcome) == pytest.approx(erlang_c_wait(rate, 1.0, servers), rel=0.08)


def test_calls_that_share_a_core_are_as_many_as_in_processor_sharing() -> None:
    """M/M/1-PS has rho / (1 - rho) calls on average, whatever their distribution."""
    outcome = simulate(poisson(0.6, 1.0, 60_000), [Line(limit=None)], Limits(parallel=1))
    assert mean_wait(outcome) == 0
    assert outcome.busy_s / outcome.end == pytest.approx(0.6 / 0.4, rel=0.08)


def test_cores_that_are_busy_work_at_their_rate() -> None:
    arrivals = [Arrival(0.0, 0, 2.0)] * 12
    for limit in (3, 6, 12):
        assert simulate(arrivals, [Line(limit=limit)], Limits(parallel=3)).end == pytest.approx(8.0)
    assert simulate(arrivals, [Line(limit=2)], Limits(parallel=3)).end == pytest.approx(12.0)


ARRIVALS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2), st.integers(1, 20)), max_size=40).map(
    lambda raw: sorted(Arrival(float(at), line, float(work)) for at, line, work in raw)
)
LINES = st.lists(st.builds(Line, limit=st.integers(1, 3), batch=st.integers(1, 4)), min_size=3, max_size=3)


def slow(arrivals: list[Arrival], lines: list[Line], limits: Limits) -> tuple[list[tuple[float, float]], int]:
    """The same by steps of a second: whole seconds in, whole seconds out. Answers waits and refusals."""
    most, longest = limits.max_running or 10**9, limits.max_size or 10**9
    running: list[tuple[float, int]] = []
    waiting: list[list[Arrival]] = [[] for _ in lines]
    last, starts, refused = [0] * len(lines), 0, 0
    found: list[tuple[float, float]] = []

    def start(at: float, line: int) -> None:
        nonlocal starts
        call, waiting[line] = waiting[line][: lines[line].batch], waiting[line][lines[line].batch :]
        found.extend((one.at, at - one.at) for one in call)
        running.append((at + call[0].work, line))
        starts += 1
        last[line] = starts

    def has_room(line: int) -> bool:
        at_once = sum(1 for _, one in running if one == line)
        return at_once < (lines[line].limit or 10**9) and len(running) < most

    for second in range(1000):
        for ending in sorted(one for one in running if one[0] == second):
            running.remove(ending)
            while some := [line for line in range(len(lines)) if waiting[line] and has_room(line)]:
                start(float(second), min(some, key=last.__getitem__))
        for arrival in [one for one in arrivals if one.at == second]:
            if sum(map(len, waiting)) >= longest:
                refused += 1
                continue
            waiting[arrival.line].append(arrival)
            if has_room(arrival.line):
                start(float(second), arrival.line)
    return found, refused


@given(ARRIVALS, LINES, st.one_of(st.none(), st.integers(1, 4)), st.one_of(st.none(), st.integers(1, 5)))
def test_it_starts_what_a_plain_model_starts(
    arrivals: list[Arrival], lines: list[Line], max_running: int | None, max_size: int | None
) -> None:
    limits = Limits(max_running=max_running, max_size=max_size)
    outcome = simulate(arrivals, lines, limits)
    waits, refused = slow(arrivals, lines, limits)
    assert sorted(outcome.waits) == sorted(waits)
    assert len(outcome.refused) == refused
    assert len(outcome.waits) + refused == len(arrivals)
    assert outcome.most_pending <= (max_size or len(arrivals))


@given(ARRIVALS, st.integers(1, 4))
def test_nobody_waits_longer_because_one_more_may_run(arrivals: list[Arrival], limit: int) -> None:
    one_line = [one._replace(line=0) for one in arrivals]
    fewer = simulate(one_line, [Line(limit=limit)], Limits())
    more = simulate(one_line, [Line(limit=limit + 1)], Limits())
    for (_, before), (_, after) in zip(fewer.waits, more.waits, strict=True):
        assert after <= before


@given(ARRIVALS, LINES, st.integers(1, 3), st.lists(st.integers(0, 15), min_size=40, max_size=40))
def test_nobody_waits_longer_than_their_patience(
    arrivals: list[Arrival], lines: list[Line], max_running: int, patience: list[int]
) -> None:
    some = [one._replace(patience=float(p)) for one, p in zip(arrivals, patience, strict=False)]
    outcome = simulate(some, lines, Limits(max_running=max_running))
    assert len(outcome.waits) + len(outcome.left) == len(some)
    most = {one.at: max(p.patience for p in some if p.at == one.at) for one in some}
    assert all(wait <= most[at] for at, wait in outcome.waits)
    assert simulate(arrivals, lines, Limits(max_running=max_running)).left == []


def test_as_many_leave_as_in_erlangs_model_with_patience() -> None:
    """In M/M/c+M those leave at the rate of the waiting times one's impatience (Palm 1957)."""
    rng = random.Random(3)  # noqa: S311
    some = [one._replace(patience=rng.expovariate(0.25)) for one in poisson(2.4, 1.0, 40_000)]
    outcome = simulate(some, [Line(limit=2)], Limits())
    gone = set(outcome.left)
    in_line = sum(wait for _, wait in outcome.waits) + sum(one.patience for one in some if one.at in gone)
    assert len(gone) / outcome.end == pytest.approx(0.25 * in_line / outcome.end, rel=0.03)
    assert 0.15 < len(gone) / len(some) < 0.35


def test_thirty_that_wait_go_sixteen_then_fourteen() -> None:
    arrivals = [Arrival(0.0, 0, 5.0), *[Arrival(1.0, 0, 5.0)] * 30]
    outcome = simulate(arrivals, [Line(limit=1, batch=16)], Limits())
    assert [wait for _, wait in outcome.waits] == [0.0, *[4.0] * 16, *[9.0] * 14]
    assert outcome.most_pending == 30
