"""What a queue's lines mean for the number of replicas: who could go to another one, when slots are free."""

from __future__ import annotations

from typing import Any

import pytest

from queueing.eta import Service
from queueing.events import kind_of
from queueing.routes import App, Function
from queueing.stats.demand import Demand, LineDemand, Waiting
from spaces.scaling.load import load_of

F, G = kind_of("0"), kind_of("1")
APP = App(functions=(Function(id=0, api_name="f", group="f"), Function(id=1, api_name="g", group="g")))


def takes(seconds: float) -> Service:
    return Service(mean=seconds, variance=0.0, calls=20.0, times=(seconds,) * 20)


def demand(**values: Any) -> Demand:
    given: dict[str, Any] = {"now": 0.0, "services": {F: takes(2.0), G: takes(1.0)}} | values
    return Demand(serving=["1", "2"], **given)


def line(*waiting: Waiting, slots: int = 1, **calls: list[tuple[str, float]]) -> LineDemand:
    return LineDemand(slots, waiting, {name.removeprefix("r"): its for name, its in calls.items()})


def test_events_of_a_session_on_a_replica_are_work_of_that_one() -> None:
    waiting = [Waiting(F, 5.0, "1"), Waiting(F, 4.0, "1"), Waiting(F, 3.0), Waiting(F, 1.0, "2")]
    [group] = load_of(demand(lines={"main:f": line(*waiting, r1=[(F, 0.5)])}), APP, {"0": 1.0}).groups
    assert group.line == [(F, 3.0)]
    assert list(group.free) == pytest.approx([1.5 + 2 + 2, 2.0])
    assert (group.share, group.arrivals) == (0.25, {F: 1.0})


def test_calls_beyond_the_limit_wait_for_the_others() -> None:
    calls = [(F, 0.0), (F, 1.5), (F, 1.0)]
    [group] = load_of(demand(lines={"main:f": line(slots=2, r1=calls)}), APP, {}).groups
    assert list(group.free) == pytest.approx([1.0, 0.5 + 2.0, 0.0, 0.0])


def test_arrivals_are_told_apart_by_group() -> None:
    lines = {"main:f": line(Waiting(F, 0.0)), "main:g": line(), "main": line()}
    found = load_of(demand(lines=lines), APP, {"0": 1.0, "1": 2.0}).groups
    assert [group.arrivals for group in found] == [{F: 1.0}, {G: 2.0}]
    assert [group.share for group in found] == [1.0, 1.0]


def test_a_total_makes_one_line_of_all_beside_each() -> None:
    lines = {
        "main:f": line(Waiting(F, 1.0), slots=4),
        "main:g": line(Waiting(G, 2.0), slots=4, r2=[(G, 0.25)]),
    }
    *each, together = load_of(demand(lines=lines, max_running=2), APP, {"0": 1.0, "1": 2.0}).groups
    assert [group.slots for group in each] == [2, 2]
    assert (together.slots, together.line) == (2, [(G, 2.0), (F, 1.0)])
    assert together.arrivals == {F: 1.0, G: 2.0}
    assert together.free == [0.75, 0.0, 0.0, 0.0]
