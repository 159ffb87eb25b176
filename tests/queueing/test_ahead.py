"""What is sent to the app ahead of its turn: only what was short, and nothing while one comes back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from queueing.dispatch import prefetch
from queueing.dispatch.prefetch import MOST_PREFETCHED, SHORT_CALLS, SHORT_S, PrefetchPolicy
from tests.waiting import eventually


class Way:
    """A direct way into an app that says nothing."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, str]] = []

    def begin(self, one: Any) -> None:
        self.orders.append(("begin", one.events[0].id))

    def back(self, event_id: str) -> None:
        self.orders.append(("back", event_id))


def call(event_id: str, fn: str = "0", line: str = "main:g") -> Any:
    lane = line.partition(":")[0]
    return SimpleNamespace(line=line, lane=lane, events=[SimpleNamespace(id=event_id, fn=fn)])


@pytest.fixture
def way() -> Way:
    return Way()


@pytest.fixture
def known(way: Way) -> PrefetchPolicy:
    """Function 0 is known to be short."""
    known = PrefetchPolicy(way, gate=True)  # type: ignore[arg-type]
    for _ in range(SHORT_CALLS):
        known.ended("0", SHORT_S)
    return known


def test_only_functions_whose_last_calls_were_short(known: PrefetchPolicy) -> None:
    assert (known.limit, known.short_functions) == (MOST_PREFETCHED, ["0"])
    known.ended("0", SHORT_S * 1.01)
    assert known.short_functions == []


def test_none_behind_a_call_that_may_take_long(known: PrefetchPolicy) -> None:
    with known.busy(call("a", fn="1")):
        assert known.long_lines == {"main:g"}
    with known.busy(call("a", fn="1", line="side")), known.busy(call("b")):
        assert known.long_lines == set()


def test_a_long_call_of_one_group_holds_up_no_other(known: PrefetchPolicy) -> None:
    with known.busy(call("a", fn="1", line="main:other")), known.busy(call("b")):
        assert known.long_lines == {"main:other"}


def test_none_without_a_direct_way(known: PrefetchPolicy) -> None:
    assert PrefetchPolicy(None, gate=True).limit == 0
    known.never()
    assert known.limit == 0


async def test_from_the_moment_one_is_taken_back_none(
    known: PrefetchPolicy, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefetch, "BACK_S", 0.05)
    with known.busy(call("a")), known.begun(call("a")) as heard:
        heard()
        with known.busy(call("b")), known.begun(call("b")):
            assert known.long_lines == set()
            await eventually(lambda: len(way.orders) > 2, "it is taken back", 5)
            assert known.long_lines == {"main:g"}, "though it is not in line yet"
            assert known.short_functions == []
    assert way.orders == [("begin", "a"), ("begin", "b"), ("back", "b")]
