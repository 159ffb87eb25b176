"""The sweep that measures a Space: against all points of surfaces that are known."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queueing.tuning import memory
from queueing.tuning.sweep import POINTS, Bounds, Measured, Point, chosen, next_point

MIB = 1024**2
LIMIT = 4096 * MIB
REST = 300 * MIB
BOUND = round(memory.SHARE * LIMIT)
#: What the sweep keeps clear of the bound, since it knows no point before it is measured.
CLEAR = 0.89


@dataclass(frozen=True)
class Surface:
    """An app as it could be. Memory in MiB: of a call, and of an event in it."""

    throughput: Callable[[Point], float]
    call_mib: float = 10
    event_mib: float = 0
    noise: float = 0

    def memory_bytes(self, point: Point) -> float:
        return REST + MIB * (self.call_mib * point.concurrency + self.event_mib * point.events)


def usl(n: int, contention: float, coherency: float) -> float:
    """Gunther's Universal Scalability Law."""
    return n / (1 + contention * (n - 1) + coherency * n * (n - 1))


def swept(surface: Surface, bounds: Bounds, seed: int = 1) -> list[Measured]:
    """All that the sweep measures; fails where memory crosses the bound."""
    rng, found = random.Random(seed), list[Measured]()  # noqa: S311
    while (point := next_point(bounds, found)) is not None:
        assert surface.memory_bytes(point) <= BOUND, f"{point} after {[one.point for one in found]}"
        assert point not in {one.point for one in found}
        assert point.concurrency <= bounds.concurrency
        assert point.batch <= bounds.batch
        throughput = surface.throughput(point)
        found.append(
            Measured(
                point=point, calls=100, throughput=throughput * (1 + rng.gauss(0, surface.noise)),
                error=surface.noise * throughput, memory_bytes=round(surface.memory_bytes(point)),
            )
        )  # fmt: skip
    assert len(found) <= POINTS
    return found


def regret(surface: Surface, bounds: Bounds, seed: int = 1) -> float:
    """What the choice lacks of the best of all points that keep clear of the bound."""
    best = chosen(swept(surface, bounds, seed))
    assert best is not None
    allowed = [one for one in _all(bounds) if surface.memory_bytes(one) <= CLEAR * BOUND]
    return 1 - surface.throughput(best.point) / max(map(surface.throughput, allowed))


def _all(bounds: Bounds) -> Iterator[Point]:
    sizes = [2**n for n in range(10) if 2**n <= bounds.batch]
    return (Point(n, size) for n in range(1, bounds.concurrency + 1) for size in sizes)


ONE = Bounds(memory_bytes=BOUND, rest_bytes=REST)
BATCHES = Bounds(memory_bytes=BOUND, rest_bytes=REST, concurrency=16, batch=64)
SHARES = st.floats(0, 1)


@given(contention=SHARES, coherency=st.sampled_from([0, 1e-4, 1e-3, 0.01, 0.1]))
def test_an_app_that_scales_by_gunthers_law(contention: float, coherency: float) -> None:
    assert regret(Surface(lambda p: usl(p.concurrency, contention, coherency)), ONE) <= 0.05


@given(cores=st.integers(1, 8), busy=st.floats(0.2, 1), lost=st.floats(0, 0.02))
def test_an_app_that_computes_and_waits(cores: int, busy: float, lost: float) -> None:
    """A call keeps a core busy for a part of its time; more calls than cores lose a little by switching."""
    knee = cores / busy

    def throughput(point: Point) -> float:
        return min(point.concurrency, knee) / (1 + lost * max(0.0, point.concurrency - knee))

    assert regret(Surface(throughput), ONE) <= 0.05


def test_an_app_that_only_waits_gets_as_many_calls_as_it_may_have() -> None:
    found = swept(Surface(lambda p: p.concurrency), ONE)
    assert [one.point.concurrency for one in found[:7]] == [1, 2, 4, 8, 16, 32, 40]
    best = chosen(found)
    assert best is not None
    assert best.point.concurrency >= 39


def test_an_app_that_gains_nothing_is_known_after_three_points() -> None:
    found = swept(Surface(lambda _: 1.0), ONE)
    assert [one.point.concurrency for one in found] == [1, 2, 4]
    best = chosen(found)
    assert best is not None
    assert best.point == Point(1)


@given(call_mib=st.floats(50, 1500), contention=st.sampled_from([0, 0.05, 0.3]))
def test_a_hungry_app_never_crosses_the_bound(call_mib: float, contention: float) -> None:
    assert regret(Surface(lambda p: usl(p.concurrency, contention, 0), call_mib), ONE) <= 0.05


@given(seed=st.integers(0, 10_000), contention=SHARES, coherency=st.sampled_from([0, 1e-3, 0.01, 0.1]))
def test_noise_of_a_hundredth_costs_little(seed: int, contention: float, coherency: float) -> None:
    surface = Surface(lambda p: usl(p.concurrency, contention, coherency), 40, noise=0.01)
    assert regret(surface, ONE, seed) <= 0.05 + 3 * 0.01


@settings(max_examples=200)
@given(
    fixed=st.floats(0.01, 0.5), each=st.floats(0.001, 0.3), cores=st.sampled_from([1, 2, 4]),
    call_mib=st.sampled_from([5, 50]), event_mib=st.sampled_from([0, 5, 60]),
)  # fmt: skip
def test_batches_on_cores_that_all_calls_share(
    fixed: float, each: float, cores: int, call_mib: float, event_mib: float
) -> None:
    def throughput(point: Point) -> float:
        return min(point.events / (fixed + each * point.batch), cores / each)

    surface = Surface(throughput, call_mib, event_mib)
    assert regret(surface, BATCHES) <= 0.05


@given(fixed=st.floats(0.01, 0.5), each=st.floats(0.001, 0.3), contention=st.sampled_from([0.1, 0.5, 1]))
def test_batches_on_a_device_that_takes_turns(fixed: float, each: float, contention: float) -> None:
    def throughput(point: Point) -> float:
        return usl(point.concurrency, contention, 0) * point.batch / (fixed + each * point.batch)

    assert regret(Surface(throughput, 20, 1), BATCHES) <= 0.05


def test_calls_that_fail_are_no_reason_to_send_more() -> None:
    failing = Measured(
        point=Point(), throughput=1, error=0, memory_bytes=REST, calls=10, failed=5
    )  # fmt: skip
    assert next_point(ONE, [failing]) is None
    assert chosen([failing]) is None


def test_a_point_that_was_stopped_for_memory_ends_the_growth() -> None:
    found = [
        Measured(point=Point(1), throughput=1, error=0, memory_bytes=REST + 100 * MIB, calls=9),
        Measured(
            point=Point(2), throughput=2, error=0, memory_bytes=BOUND + 1, calls=9, stopped=True
        ),
    ]  # fmt: skip
    assert next_point(ONE, found) is None
    best = chosen(found)
    assert best is not None
    assert best.point == Point(1)


@pytest.mark.parametrize("count", [3, 5])
def test_the_line_of_memory_is_bounded_by_how_far_it_was_off(count: int) -> None:
    exact = [memory.Use(n, 1, REST + 100 * MIB * n) for n in range(1, count + 1)]
    assert memory.at_most(exact, REST, 10, 1) == pytest.approx(REST + 1000 * MIB)
    wavy = [use._replace(memory_bytes=use.memory_bytes + 20 * MIB * (-1) ** use.concurrency) for use in exact]
    assert memory.at_most(wavy, REST, 10, 1) > REST + 1050 * MIB
