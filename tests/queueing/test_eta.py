"""The promised time: a table of plain cases, and its honesty under steady loads, simulated (no clock)."""

from __future__ import annotations

import pytest

from queueing.eta import FEWEST, Eta, Service, forecast, measured, rest
from tests.bench.eta import LOADS, Load, simulate


def known(**seconds: float) -> dict[str, Service]:
    """Functions that always take the same."""
    return {name: Service(mean=s, variance=0.0, calls=50, times=(s,) * 50) for name, s in seconds.items()}


def likely(
    line: str, running: list[tuple[str, float]], services: dict[str, Service], **more: int
) -> list[object]:
    """The likely start of everybody in `line` (a letter each) and of who joins behind them."""
    found = forecast(line, running=running, services=services, **{"concurrency": 1, **more})  # type: ignore[arg-type]
    etas = [found.at(position) for position in range(len(line) + 1)]
    return [None if eta is None else round(eta.likely, 3) for eta in etas]


A, B = known(a=2.0), known(a=2.0, b=10.0)


@pytest.mark.parametrize(
    ("line", "running", "services", "more", "expected"),
    [
        ("", [], {}, {}, [0.0]),  # a free place: known without any measurement
        ("", [("a", 0.5)], A, {}, [1.5]),
        ("aa", [("a", 0.5)], A, {}, [1.5, 3.5, 5.5]),
        ("ab", [("a", 0.5)], B, {}, [1.5, 3.5, 13.5]),
        ("ba", [("b", 9.0)], B, {}, [1.0, 11.0, 13.0]),
        ("aaa", [("a", 0.5)], A, {"concurrency": 2}, [0.0, 1.5, 2.0, 3.5]),
        ("aa", [("b", 1.0), ("a", 1.0)], B, {"concurrency": 2}, [1.0, 3.0, 5.0]),
        # Lowered from 3 to 1: two of three running calls must end before a place is free.
        ("a", [("a", 1.5), ("a", 1.0), ("b", 0.0)], B, {"concurrency": 1}, [10.0, 12.0]),
        # Nothing is invented: behind an unmeasured function, waiting or running, nobody is told a time.
        ("aca", [("a", 0.0)], A, {}, [2.0, 4.0, None, None]),
        ("a", [("c", 0.0)], A, {}, [None, None]),
        # A cancelled call runs on nameless: taken for the longest.
        ("a", [("", 1.0)], B, {}, [9.0, 11.0]),
        # Over its time: half of what it should have taken, or of what it has.
        ("a", [("a", 2.0)], A, {}, [1.0, 3.0]),
        ("a", [("a", 30.0)], A, {}, [15.0, 17.0]),
    ],
)
def test_likely_times(
    line: str,
    running: list[tuple[str, float]],
    services: dict[str, Service],
    more: dict[str, int],
    expected: list[object],
) -> None:
    assert likely(line, running, services, **more) == expected


def test_a_batch_is_one_call_and_takes_its_members_along() -> None:
    services = {"a": Service(2.0, 0.0, 50, (2.0,) * 50, batch=3), **known(b=5.0)}
    assert likely("aabaa", [], services, max_batch=4) == [0.0, 0.0, 2.0, 0.0, 7.0, 9.0]
    # The owner's bound and the function's own both hold; off is one at a time.
    assert likely("aaa", [], services, max_batch=2)[:3] == [0.0, 0.0, 2.0]
    assert likely("aaa", [], services, max_batch=1)[:3] == [0.0, 2.0, 4.0]
    # What came back from a failed batch runs alone.
    assert likely("aaa", [], services, max_batch=4, alone=2)[:3] == [0.0, 2.0, 4.0]


def test_who_joins_now_joins_the_batch_that_has_room() -> None:
    services = {"a": Service(2.0, 0.0, 50, (2.0,) * 50, batch=3)}
    assert likely("aa", [("a", 1.0)], services, max_batch=4) == [1.0, 1.0, 1.0]
    assert likely("aaa", [("a", 1.0)], services, max_batch=4) == [1.0, 1.0, 1.0, 3.0]


def test_a_sleeping_space_adds_its_start() -> None:
    found = forecast("aa", running=[], services=A, concurrency=1, start=Eta(30.0, 50.0))
    first, second = found.at(0), found.at(1)
    assert first is not None
    assert second is not None
    assert (first.likely, second.likely) == (30.0, 32.0)
    assert first.at_most == pytest.approx(50.0, abs=0.1)


def test_nothing_is_promised_from_fewer_than_three_calls() -> None:
    assert measured([1.0] * (FEWEST - 1)) is None
    assert measured([1.0] * FEWEST) is not None


def test_few_measurements_promise_less_than_many() -> None:
    def slack(times: list[float]) -> float:
        service = measured(times)
        assert service is not None
        eta = forecast("aaaaa", running=[], services={"a": service}, concurrency=1).at(4)
        assert eta is not None
        return eta.at_most / eta.likely

    assert slack([1.0, 2.0, 3.0]) > 1.15 * slack([1.0, 2.0, 3.0] * 30)


def test_old_calls_fade() -> None:
    service = measured([1.0] * 64 + [9.0] * 64)
    assert service is not None
    assert service.mean < 3.0


def test_what_is_left_of_a_running_call_follows_from_those_that_ran_longer() -> None:
    service = measured([1.0] * 50 + [11.0] * 50)
    assert service is not None
    fresh, after_a_second = rest(service, 0.0)[0], rest(service, 1.0)[0]
    assert after_a_second == pytest.approx(10.0)
    assert fresh < 6.0


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.name)
def test_promises_are_honest_under_steady_loads(load: Load) -> None:
    honesty = simulate(load)
    assert honesty.promises > 2000
    assert honesty.median_error <= 0.15
    assert 0.85 <= honesty.within <= 0.97
