"""Measures one point of a sweep: so many callers, each of which sends its next call when the last one has
ended, until the throughput is known well enough or the time is over."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from queueing.eta import quantile
from queueing.measuring.driver import CallFailed, Driver, Work, event_session
from queueing.tuning.sweep import Measured, Point

if TYPE_CHECKING:
    from queueing.measuring.meter import Meter, Spent

#: Of the throughput, as a share: a standard error below it is small enough.
PRECISE = 0.01
FEWEST_CALLS, FEWEST_ROUNDS = 20, 4
LEAST_S = 1.5
#: The throughput's error is that of so many stretches of the time, one after the other.
STRETCHES = 10
#: With fewer, nothing is known of it: it is taken for this share.
UNKNOWN = 0.25
#: What still runs at the end may take so many times the longest call, and some seconds.
GRACE, GRACE_S = 3.0, 5.0
LOOK_S = 0.1
#: Calls that take longer than a point's time are waited for, up to so many times that.
PATIENCE = 6.0
FAILED_IN_A_ROW = 5


@dataclass(frozen=True)
class _Done:
    """`cycle_s`: from the end of its caller's call before."""

    at: float
    cycle_s: float
    took_s: float
    failed: bool


class PointRun:
    """One point. `seconds`: when it ends at the latest, but for calls that run then; `warms_up`: each
    caller's first call does not count; `stopped`: whether all of this is to end."""

    def __init__(
        self,
        driver: Driver,
        works: Sequence[Work],
        point: Point,
        meter: Meter,
        *,
        seconds: float,
        warms_up: bool,
        stopped: Callable[[], bool],
    ) -> None:
        self._driver, self._works, self._meter = driver, works, meter
        self.point = point
        self._seconds, self._warms_up, self._stopped = seconds, warms_up, stopped
        self._done = list[_Done]()
        self._began = 0.0
        self._leaving = False
        self._news = asyncio.Event()
        self.failure = ""

    async def run(self) -> Measured:
        """Measure it.

        Raises:
            ContainerDied
        """
        # The engine may take its time to answer.
        await asyncio.to_thread(self._meter.begin)
        self._meter.is_over.clear()
        self._began = time.monotonic()
        callers = [
            asyncio.create_task(self._caller(number), name=f"caller {number}")
            for number in range(self.point.concurrency)
        ]
        try:
            while not self._is_enough() and not any(caller.done() for caller in callers):
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._news.wait()
            self._leaving = True
            await self._last_calls(callers)
        finally:
            for caller in callers:
                caller.cancel()
            ends = await asyncio.gather(*callers, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end
        return self._measured(await asyncio.to_thread(self._meter.spent))

    async def _last_calls(self, callers: Sequence[asyncio.Task[None]]) -> None:
        """What still runs would run beside the next point."""
        if self._meter.is_over.is_set() or self._stopped():
            return
        longest = max((one.took_s for one in self._done), default=self._seconds)
        await asyncio.wait(callers, timeout=GRACE * longest + GRACE_S)

    async def _caller(self, number: int) -> None:
        session, size = event_session(number), self.point.batch
        turn, counted_from = number, None if self._warms_up else self._began
        while not self._leaving:
            work = self._works[turn % len(self._works)]
            first = turn * size
            rows = [work.rows[(first + n) % len(work.rows)] for n in range(size)]
            failed, began = False, time.monotonic()
            try:
                took_s = await self._driver.call(work, rows, at_once=self.point.concurrency, session=session)
            except CallFailed as error:
                self.failure, failed = str(error), True
                took_s = time.monotonic() - began
            now = time.monotonic()
            if counted_from is not None:
                self._done.append(_Done(now, now - counted_from, took_s, failed))
            counted_from = now
            turn += 1
            self._news.set()

    def _is_enough(self) -> bool:
        if self._stopped() or self._meter.is_over.is_set():
            return True
        elapsed = time.monotonic() - self._began
        if elapsed >= self._seconds and (len(self._done) >= self.point.concurrency or self._is_late(elapsed)):
            return True
        last = self._done[-FAILED_IN_A_ROW:]
        if len(last) == FAILED_IN_A_ROW and all(one.failed for one in last):
            return True
        if elapsed < LEAST_S or len(self._done) < max(FEWEST_CALLS, FEWEST_ROUNDS * self.point.concurrency):
            return False
        throughput, error = self._throughput()
        return error <= PRECISE * throughput

    def _is_late(self, elapsed: float) -> bool:
        """Whether it has waited long enough for each caller's first call that counts."""
        return elapsed >= PATIENCE * self._seconds

    def _throughput(self) -> tuple[float, float]:
        """Events a second, and the standard error of that: callers without pauses have, by Little's law, as
        many events at once as there are, over the mean time from one end to the next."""
        cycles = [one.cycle_s for one in self._done]
        if not cycles:
            return 0.0, 0.0
        found = self.point.events / fmean(cycles)
        count = min(STRETCHES, len(cycles) // self.point.concurrency)
        if count < 2:
            return found, UNKNOWN * found
        length = len(cycles) / count
        means = [fmean(cycles[round(n * length) : round((n + 1) * length)]) for n in range(count)]
        return found, found * stdev(means) / fmean(cycles) / math.sqrt(count)

    def _measured(self, spent: Spent) -> Measured:
        throughput, error = self._throughput()
        took = sorted(one.took_s for one in self._done)
        failed = sum(one.failed for one in self._done)
        return Measured(
            point=self.point,
            throughput=throughput * (1 - failed / max(len(self._done), 1)),
            error=error,
            memory_bytes=spent.memory_bytes,
            calls=len(self._done),
            failed=failed,
            p50_s=quantile(took, 0.5) if took else 0.0,
            p95_s=quantile(took, 0.95) if took else 0.0,
            cores=spent.cores,
            crowded=spent.is_crowded,
            gpu_busy=spent.gpu_busy,
            gpu_memory_bytes=spent.gpu_memory_bytes,
            seconds=time.monotonic() - self._began,
            stopped=self._meter.is_over.is_set(),
        )
