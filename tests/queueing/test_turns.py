"""Lines that share a total are laid out as the claims will go: beside the model, calls of known length."""

from __future__ import annotations

import heapq

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queueing.eta import Eta, Service
from queueing.turns import Waiting, forecasts
from tests.invariants.model import Model

LINES = ("main", "main:g", "main:h")


def takes(seconds: float) -> Service:
    return Service(mean=seconds, variance=0.0, calls=20.0, times=(seconds,) * 20)


def starts(
    waiting: dict[str, int], limits: dict[str, int], total: int, long: dict[str, float]
) -> dict[str, float]:
    """When each event starts, by the model's claims; calls of a line last as `long` says."""
    model = Model()
    model.settings.limits, model.settings.max_running = dict(limits), total
    for line, count in waiting.items():
        for n in range(count):
            model.join(
                event_id=f"{line} {n}", line=line, origin="page", channel=f"{line}{n}", fn="0", batch=0,
                after="", key="", digest="",
            )  # fmt: skip
    model.acquire("d")
    found: dict[str, float] = {}
    ends: list[tuple[float, str]] = []
    now = 0.0
    while True:
        for call in model.claim("", list(range(model.token + 1, model.token + 40))):
            found[call.ids[0]] = now
            heapq.heappush(ends, (now + long[call.line], call.ids[0]))
        if not ends:
            return found
        now, event_id = heapq.heappop(ends)
        event = model.events[event_id]
        assert event.token is not None
        model.finish(event_id, event.line, event.token, "completed", free=True)


@settings(max_examples=150, deadline=None)
@given(
    waiting=st.fixed_dictionaries(dict.fromkeys(LINES, st.integers(0, 6))),
    limits=st.fixed_dictionaries(dict.fromkeys(LINES, st.integers(1, 3))),
    total=st.integers(1, 5),
    # No two calls end at the same moment.
    long=st.permutations([1.0, 2.4142, 5.1962]),
)
def test_everybody_starts_when_it_was_said(
    waiting: dict[str, int], limits: dict[str, int], total: int, long: list[float]
) -> None:
    lasts = dict(zip(LINES, long, strict=True))
    found = forecasts(
        [Waiting([line] * waiting[line], [], limits[line]) for line in LINES],
        total=total,
        services={line: takes(seconds) for line, seconds in lasts.items()},
    )
    for event_id, at in starts(waiting, limits, total, lasts).items():
        line, _, n = event_id.partition(" ")
        promise = found[LINES.index(line)].at(int(n))
        assert promise is not None
        assert promise.likely == pytest.approx(at)


def test_who_joins_an_idle_group_now_waits_for_one_call_of_each_other() -> None:
    """The busy ones' calls end in 6 s and 8 s, and each starts one more before."""
    busy = Waiting(["a"] * 50, [("a", 4.0)], 1)
    other = Waiting(["b"] * 50, [("b", 2.0)], 1)
    idle = Waiting([], [], 1)
    (*_, found) = forecasts([busy, other, idle], total=2, services={"a": takes(10.0), "b": takes(10.0)})
    promise = found.at(0)
    assert promise is not None
    assert promise.likely == pytest.approx(16.0)


def test_nothing_is_promised_behind_a_call_of_unknown_length_in_any_line() -> None:
    known, unknown = Waiting(["a"] * 3, [], 1), Waiting(["?"] * 3, [], 1)
    first, second = forecasts([known, unknown], total=1, services={"a": takes(1.0)})
    assert [first.at(n) is None for n in range(3)] == [False, True, True]
    assert [second.at(n) is None for n in range(2)] == [False, True]


def test_a_space_that_starts_adds_its_start() -> None:
    line = Waiting(["a"] * 2, [], 1)
    (found, _) = forecasts([line, line], total=1, services={"a": takes(1.0)}, start=Eta(20.0, 30.0))
    promise = found.at(1)
    assert promise is not None
    assert promise.likely == pytest.approx(22.0)


def test_a_line_apart_counts_for_nobody() -> None:
    line, side = Waiting(["a"] * 3, [], 1), Waiting(["a"] * 3, [], 4, apart=True)
    first, second = forecasts([line, side], total=1, services={"a": takes(1.0)})
    assert [round(p.likely) for n in range(3) if (p := first.at(n))] == [0, 1, 2]
    assert [round(p.likely) for n in range(3) if (p := second.at(n))] == [0, 0, 0]
