"""The queue's Celery tasks: short, safe to run twice, safe to lose."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down
from django.conf import settings
from django.db import Error, connection

from hardware.replica_client import Limits
from infra.redis_clients import async_redis
from queueing.dispatch import reaper
from queueing.dispatch.worker import DispatcherPool, dispatcher_pool
from queueing.measuring import session
from queueing.models import QueueSettings
from queueing.stats import rollup, stepping
from queueing.tuning import runs
from queueing.wakeup import wake_dispatcher

logger = logging.getLogger(__name__)


@shared_task(name="queueing.tasks.drain", ignore_result=True)
def drain(space_id: int, replica_id: int = 0) -> None:
    """Serve this Space's queue by its replica until it is empty. 0: by the one that its route names first."""
    _pool().drain(space_id, replica_id)


@worker_shutting_down.connect
def stop_dispatchers(**_: Any) -> None:
    """A worker that is to stop finishes its calls and claims no more."""
    session.leaving.set()
    if dispatcher_pool.cache_info().currsize:
        _pool().stop()


def _pool() -> DispatcherPool:
    limits = Limits(
        message_bytes=settings.SPACEPORT_MESSAGE_LIMIT_BYTES, event_bytes=settings.SPACEPORT_EVENT_LIMIT_BYTES
    )
    return dispatcher_pool(settings.REDIS_URL, settings.SPACEPORT_EVENT_TIMEOUT_S, limits)


@shared_task(name="queueing.tasks.reap", ignore_result=True)
def reap() -> None:
    """Wake a dispatcher for every Space that has work and no live one. Cancel events whose visitor has been
    away for too long."""
    # PostgreSQL is queried in the task's own thread.
    REAPING.run(QUEUED_SPACES.ids())


@shared_task(name="queueing.tasks.store_minutes", ignore_result=True)
def store_minutes() -> None:
    """Move the counters of past minutes from Redis to PostgreSQL."""
    rollup.store(QueueSettings.objects.values_list("space_id", flat=True))


@shared_task(name="queueing.tasks.follow_memory", ignore_result=True)
def follow_memory() -> None:
    """Lower what Spaces run at once that ran out of memory, and raise it again."""
    stepping.follow()


@shared_task(name="queueing.tasks.measure", ignore_result=True)
def measure(run_id: int) -> None:
    """Measure a Space on its replica for that, which is on this node."""
    session.measure(run_id)


@shared_task(name="queueing.tasks.follow_tuning", ignore_result=True)
def follow_tuning() -> None:
    """Go on with measurements whose worker died, and end their replicas."""
    runs.follow()


@shared_task(name="queueing.tasks.forget_minutes", ignore_result=True)
def forget_minutes() -> None:
    """Delete counters older than the statistics show."""
    rollup.forget()


class QueuedSpaces:
    """All Spaces with a queue. While PostgreSQL is away, those it listed last: queues go on without it."""

    def __init__(self, *space_ids: int) -> None:
        self._ids = list(space_ids)

    def ids(self) -> list[int]:
        """Their ids, as PostgreSQL lists them now if it can."""
        try:
            self._ids = list(QueueSettings.objects.values_list("space_id", flat=True))
        except Error as error:
            # A connection that died with the server is not used again.
            connection.close()
            logger.warning("PostgreSQL is away (%s), handling the Spaces it listed last", error)
        return self._ids


class Reaping:
    """The work of `reap`, with an event loop and a connection that are kept from one run to the next."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._lock = threading.Lock()

    def run(self, space_ids: list[int]) -> None:
        """Once for these Spaces. Not while another thread does so."""
        if self._lock.acquire(blocking=False):
            try:
                self._runner.run(self._reap(space_ids))
            finally:
                self._lock.release()

    async def _reap(self, space_ids: list[int]) -> None:
        redis = async_redis()
        space_ids = await reaper.at_work(redis, space_ids)
        try:
            for route in await reaper.forgotten(redis, space_ids):
                wake_dispatcher(route)
        finally:
            grace_s = settings.SPACEPORT_DISCONNECT_GRACE_S
            await reaper.cancel_abandoned(redis, space_ids, grace_s=grace_s)


QUEUED_SPACES = QueuedSpaces()
REAPING = Reaping()
