"""One point of a measurement: callers that never pause, and what ends it early."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hardware.runtimes.base import Runtime, Stats
from queueing.errors import ContainerDied
from queueing.measuring.driver import CallFailed, Driver, Work
from queueing.measuring.meter import Meter
from queueing.measuring.point import FAILED_IN_A_ROW, PointRun
from queueing.routes import Function
from queueing.tuning.sweep import Measured, Point

MIB = 1024**2
WORK = Work(fn=0, function=Function(id=0), rows=[["a"], ["b"], ["c"]])


class Replica:
    """It runs what it is sent. `running`: how many calls were in it at once; `rows`: what they were."""

    def __init__(self, error: Exception | None = None, memory_bytes: int = 100 * MIB) -> None:
        self.error, self.memory_bytes = error, memory_bytes
        self.now = self.running = 0
        self.rows = list[Any]()

    async def call(self, _work: Work, rows: Sequence[Any], *, at_once: int, session: str) -> float:
        assert at_once
        assert session
        self.now += 1
        self.running = max(self.running, self.now)
        self.rows += rows
        await asyncio.sleep(0.002)
        self.now -= 1
        if self.error is not None:
            raise self.error
        return 0.002

    def stats(self, _: str) -> Stats:
        return Stats(memory_bytes=self.memory_bytes, memory_limit_bytes=0, cpu_seconds=0)


def run(
    replica: Any, point: Point, *, most_bytes: int = 0, seconds: float = 0.2,
    stopped: Callable[[], bool] = lambda: False,
) -> tuple[Measured, PointRun]:  # fmt: skip
    async def measured() -> tuple[Measured, PointRun]:
        runtime: Runtime = replica
        driver: Driver = replica
        with Meter(runtime, "") as meter:
            meter.most_bytes = most_bytes
            taken = PointRun(
                driver, [WORK], point, meter, seconds=seconds, warms_up=True, stopped=stopped
            )  # fmt: skip
            return await taken.run(), taken

    return asyncio.run(measured())


def test_so_many_calls_are_in_it_as_the_point_says() -> None:
    replica = Replica()
    found, _ = run(replica, Point(3, 2))
    assert replica.running == 3
    assert replica.now == 0, "none is left"
    assert {row[0] for row in replica.rows} == {"a", "b", "c"}
    assert found.is_sound
    # Little's law, and each call was of two events.
    assert found.throughput <= 3 * 2 / found.p50_s
    assert found.memory_bytes == 100 * MIB
    assert len(replica.rows) >= 2 * (found.calls + 3), "each caller's first call did not count"


def test_a_call_that_takes_longer_than_the_point_is_waited_for() -> None:
    found, _ = run(Replica(), Point(2), seconds=0.0001)
    assert found.is_sound
    assert found.calls >= 2


def test_calls_that_all_fail_end_it() -> None:
    found, taken = run(Replica(CallFailed("no cat")), Point(), seconds=60)
    assert (found.failed, found.is_sound, taken.failure) == (found.calls, False, "no cat")
    assert FAILED_IN_A_ROW <= found.calls <= FAILED_IN_A_ROW + 1


def test_memory_beyond_the_bound_stops_it() -> None:
    found, _ = run(Replica(memory_bytes=900 * MIB), Point(2), most_bytes=800 * MIB, seconds=60)
    assert (found.stopped, found.is_sound) == (True, False)


def test_a_cancelled_run_and_a_dead_app_end_it() -> None:
    found, _ = run(Replica(), Point(2), seconds=60, stopped=lambda: True)
    assert not found.stopped
    with pytest.raises(ContainerDied):
        run(Replica(ContainerDied()), Point(2), seconds=60)
