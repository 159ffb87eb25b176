"""One measurement, from a claimed row to its end. Where its worker is ended in between, the next one goes on
after the last point that was stored."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone
from msgspec import structs

from hardware import replica_client
from hardware.models import Replica
from hardware.replica_client import ReplicaClient, ReplicaError
from hardware.runtimes import choose
from infra.redis_clients import async_redis, sync_redis
from queueing.errors import ContainerDied
from queueing.measuring import inputs, plan
from queueing.measuring.driver import CallFailed, Driver, event_session
from queueing.measuring.meter import Meter
from queueing.measuring.point import PointRun
from queueing.routes import decode
from queueing.store.keys import SpaceKeys
from queueing.tuning import runs, traffic
from queueing.tuning.results import GroupResult, Results
from queueing.tuning.runs import Options, Status
from queueing.tuning.sweep import POINTS, Measured, next_point

if TYPE_CHECKING:
    from queueing.measuring.plan import GroupPlan
    from queueing.models import TuningRun
    from queueing.routes import Route

logger = logging.getLogger(__name__)

BEAT_S = 2.0
CALLED_SINCE = timedelta(days=7)
CONFIG_S = 30.0
#: Of one point, in seconds; and on how many points a group's time is planned.
LEAST_POINT_S, MOST_POINT_S = 2.0, 10.0
PLANNED_POINTS = 8
FEWEST_POINTS = 4
#: Before the first point: calls, until they took so long together.
WARM_CALLS, WARM_S = 3, 3.0
#: A first call of each caller that takes longer than this counts: it would cost too much time not to.
LONG_S = 1.0


class Ended(Exception):
    """The run was cancelled, or has another holder, or the worker ends."""


#: Set where this worker ends.
leaving = threading.Event()


def measure(run_id: int) -> None:
    """Measure this run's replica, which is on this node, unless another task does so."""
    holder = secrets.token_hex(8)
    run = runs.claim(run_id, holder)
    if run is None:
        return
    try:
        _Session(run, holder).measure()
    except Ended:
        runs.let_go(run_id, holder)
    except (plan.NothingToMeasure, CannotMeasure) as error:
        runs.end(run_id, Status.FAILED, str(error))
    except ContainerDied:
        runs.end(run_id, Status.FAILED, "The app ended before it could be measured.")
    except Exception:
        logger.exception("tuning run %s", run_id)
        runs.end(run_id, Status.FAILED, "Something went wrong here while it was measured. Try again.")
    else:
        runs.end(run_id, Status.DONE)


class CannotMeasure(Exception):
    """The replica cannot be measured; the message gives the reason."""


class _Session:
    """The work of one task."""

    def __init__(self, run: TuningRun, holder: str) -> None:
        self._run, self._holder = run, holder
        self._options = Options.from_json(run.options)
        self._results = Results.from_json(run.results)
        self._replica = Replica.objects.select_related("node").get(pk=run.replica_id)
        self._lost = threading.Event()
        self._over = threading.Event()
        self._deadline = time.monotonic() + self._options.seconds - self._results.seconds

    def measure(self) -> None:
        """Until everything is measured.

        Raises:
            Ended, CannotMeasure, ContainerDied
            queueing.measuring.plan.NothingToMeasure
        """
        route = self._route()
        beats = threading.Thread(target=self._beat, name="tuning", daemon=True)
        beats.start()
        runtime = choose(settings.SPACEPORT_RUNTIME)
        try:
            with Meter(runtime, self._replica.runtime_id, self._replica.devices) as meter:
                asyncio.run(self._measure(route, meter))
        finally:
            self._over.set()
            beats.join(BEAT_S + 1)

    def _route(self) -> Route:
        """The Space's route by way of this replica alone, which runs the same app."""
        raw = sync_redis().get(SpaceKeys(self._run.space_id).route)
        if raw is None or not self._replica.address:
            raise CannotMeasure("The Space is not running.")
        return structs.replace(
            decode(raw), replica_id=self._replica.pk, address=self._replica.address, others=(), coming=()
        )

    def _beat(self) -> None:
        try:
            while not self._over.wait(BEAT_S):
                try:
                    if not runs.beat(self._run.pk, self._holder):
                        self._lost.set()
                        return
                except DatabaseError as error:
                    logger.warning("tuning run %s: %s", self._run.pk, error)
        finally:
            connection.close()

    def _is_stopped(self) -> bool:
        return self._lost.is_set() or leaving.is_set()

    async def _note(self, text: str) -> None:
        stored = await asyncio.to_thread(self._stored, text)
        if not stored or self._is_stopped():
            raise Ended

    def _stored(self, text: str) -> bool:
        try:
            return runs.note(self._run.pk, self._holder, text, self._results)
        finally:
            connection.close()

    # --- on the loop ------------------------------------------------------------------------------

    async def _measure(self, route: Route, meter: Meter) -> None:
        redis = async_redis()
        try:
            async with ReplicaClient(keepalive_s=30) as http:
                driver = Driver(http, route, redis)
                await driver.open()
                try:
                    await self._groups(driver, route, meter)
                finally:
                    await driver.close()
        finally:
            await redis.aclose()

    async def _groups(self, driver: Driver, route: Route, meter: Meter) -> None:
        await self._note("Looks for sample inputs.")
        recipes = await self._recipes(route)
        called = await asyncio.to_thread(self._called)
        plans = await plan.planned(
            driver, route.app, recipes, self._options.inputs, self._options.functions, called
        )
        if not self._results.groups:
            await self._warm(driver, plans)
            limit = await asyncio.to_thread(self._limit_bytes)
            self._results = Results(
                cores=self._replica.limits["cpus"],
                memory_limit_bytes=limit,
                rest_bytes=await asyncio.to_thread(meter.memory_bytes),
            )
        meter.most_bytes = self._results.bound_bytes
        if meter.most_bytes and self._results.rest_bytes > meter.most_bytes:
            raise CannotMeasure("The app uses more than 85 % of its memory before it runs anything.")
        for number, one in enumerate(plans):
            await self._group(driver, one, meter, left=len(plans) - number)

    def _limit_bytes(self) -> int:
        stats = choose(settings.SPACEPORT_RUNTIME).stats(self._replica.runtime_id)
        return stats.memory_limit_bytes if stats is not None else 0

    async def _recipes(self, route: Route) -> dict[int, inputs.Recipe]:
        def fetched() -> bytes:
            status, raw = asyncio.run(
                replica_client.fetch(
                    route.address, f"{route.app.mount}/config", limit=inputs.CONFIG_BYTES, total_s=CONFIG_S
                )
            )
            return raw if status == 200 else b""

        try:
            return inputs.recipes(await asyncio.to_thread(fetched))
        except ReplicaError as error:
            raise CannotMeasure(f"The app does not describe its functions: {error}") from error

    def _called(self) -> Counter[str]:
        try:
            demand = traffic.recorded(self._run.space_id, timezone.now() - CALLED_SINCE)
        finally:
            connection.close()
        return sum(demand.minutes.values(), Counter())

    async def _warm(self, driver: Driver, plans: list[GroupPlan]) -> None:
        """What loads at the first call is no part of what a call needs."""
        for one in plans:
            await self._note(f"Calls {one.functions[0]} for the first time.")
            began = time.monotonic()
            for _ in range(WARM_CALLS):
                work = one.works[0]
                try:
                    await driver.call(work, [work.rows[0]], at_once=1, session=event_session(0))
                except CallFailed as error:
                    raise CannotMeasure(
                        f"{one.functions[0]} fails with its sample inputs ({one.inputs}): {error}"
                    ) from error
                if time.monotonic() - began > WARM_S or self._is_stopped():
                    break

    async def _group(self, driver: Driver, one: GroupPlan, meter: Meter, *, left: int) -> None:
        before = self._results.group(one.group)
        found = before or GroupResult(
            group=one.group, functions=one.functions, inputs=one.inputs, is_batch=one.is_batch
        )
        bounds = self._results.bounds(
            concurrency=self._options.max_concurrency,
            batch=self._options.max_batch if one.is_batch else 1,
            points=max(FEWEST_POINTS, POINTS // (left + len(self._results.groups) - bool(before))),
        )
        share_s = max(0.0, self._deadline - time.monotonic()) / left
        until = time.monotonic() + share_s
        while not found.ended and (point := next_point(bounds, found.points)) is not None:
            if found.points and time.monotonic() > until:
                found = replace(found, ended="The time was over.")
                break
            size = f", {point.batch} in each" if one.is_batch else ""
            calls = "call" if point.concurrency == 1 else "calls"
            await self._note(f"{one.functions[0]}: {point.concurrency} {calls} at once{size}.")
            took = PointRun(
                driver,
                one.works,
                point,
                meter,
                seconds=min(max(share_s / PLANNED_POINTS, LEAST_POINT_S), MOST_POINT_S),
                warms_up=point.concurrency > 1 and found.points[-1].p95_s < LONG_S,
                stopped=self._is_stopped,
            )
            found = await self._point(took, found, meter)
            if self._is_stopped():
                raise Ended
            self._results = self._results.with_group(found)
        self._results = self._results.with_group(found)
        await self._note("")

    async def _point(self, took: PointRun, found: GroupResult, meter: Meter) -> GroupResult:
        began = time.monotonic()
        try:
            measured = await took.run()
        except ContainerDied:
            measured = self._died(took, meter)
            found = replace(found, ended="The app ended.")
        seconds = self._results.seconds + time.monotonic() - began
        self._results = replace(self._results, seconds=seconds)
        if not measured.is_sound and not found.points:
            why = took.failure or "it ended, or used too much memory"
            raise CannotMeasure(f"One call at a time does not work: {why}")
        return replace(found, points=(*found.points, measured))

    @staticmethod
    def _died(took: PointRun, meter: Meter) -> Measured:
        spent = meter.spent()
        return Measured(
            point=took.point, throughput=0.0, error=0.0, memory_bytes=spent.memory_bytes, stopped=True
        )
