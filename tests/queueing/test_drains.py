"""Hints that come together: one dispatcher for a Space, and its lease is renewed as long as it works."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest
from msgspec import structs
from redis.asyncio import Redis

import queueing.dispatch.dispatcher
import queueing.dispatch.worker
from queueing.dispatch.dispatcher import Dispatcher
from queueing.dispatch.worker import DispatcherPool
from queueing.routes import Route, encode
from queueing.store.queue import LEASE_MS, Queue
from tests.events import a_route
from tests.waiting import eventually, wait_until


def to_nobody(queue: Queue) -> Route:
    """To a replica that nobody asks anything."""
    return a_route(queue.space_id, replica_id=1, address="127.0.0.1:1")


async def test_two_hints_at_once_leave_the_working_dispatcher_its_renewal(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, may_end = threading.Event(), threading.Event()

    async def works(self: Dispatcher) -> None:
        began.set()
        await asyncio.to_thread(may_end.wait)

    monkeypatch.setattr(Dispatcher, "run", works)
    await queue.redis.set(queue.keys.route, encode(to_nobody(queue)), ex=60)
    drains = DispatcherPool(os.environ["REDIS_URL"], 60)
    hints = [asyncio.run_coroutine_threadsafe(drains._drain(queue.space_id), drains._loop) for _ in range(2)]
    await asyncio.to_thread(began.wait, 10)
    await asyncio.to_thread(wait_until, lambda: any(hint.done() for hint in hints), "the second hint is over")
    (renewed,) = drains._active.values()
    assert await queue.redis.get(queue.keys.lease(1)) == renewed.holder.encode()
    may_end.set()
    for hint in hints:
        hint.result(timeout=10)
    assert not drains._active


async def test_who_has_moved_elsewhere_leaves_the_line_to_the_worker_there(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = structs.replace(to_nobody(queue), celery_queue="hw.cpu@here")
    there = structs.replace(here, replica_id=2, celery_queue="hw.cpu@there")
    again = structs.replace(here, address="127.0.0.1:2")
    taken_over = structs.replace(here, address="127.0.0.1:3", celery_queue="hw.cpu@there")
    asleep = structs.replace(here, replica_id=0, address="", celery_queue="", stage="SLEEPING")
    hinted: list[Route] = []
    moves_to = iter((again, there, taken_over, asleep))

    async def works(self: Dispatcher) -> None:
        await self.redis.set(queue.keys.route, encode(next(moves_to)), ex=60)
        await self.queue.release(self.holder, force=True)

    monkeypatch.setattr(Dispatcher, "run", works)
    monkeypatch.setattr(queueing.dispatch.worker, "wake_dispatcher", hinted.append)
    drains = DispatcherPool(os.environ["REDIS_URL"], 60)
    for after_s in (0.0, None, None, None):
        await queue.redis.set(queue.keys.route, encode(here), ex=60)
        once = asyncio.run_coroutine_threadsafe(drains._drain_once(queue.space_id, 1), drains._loop)
        assert await asyncio.to_thread(once.result, 10) == after_s
    assert hinted == [there, taken_over]


async def test_a_renewal_while_the_lease_is_being_taken_loses_nobody_the_lease(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes, kept = Queue.acquire, threading.Event()

    async def takes_long(self: Queue, holder: str) -> bool:
        await asyncio.sleep(0.5)
        return await takes(self, holder)

    async def works(self: Dispatcher) -> None:
        while not self.lost and not self.draining:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        if not self.lost:
            kept.set()

    monkeypatch.setattr(Queue, "acquire", takes_long)
    monkeypatch.setattr(Dispatcher, "run", works)
    monkeypatch.setattr(queueing.dispatch.worker, "RENEW_S", 0.1)
    await queue.redis.set(queue.keys.route, encode(to_nobody(queue)), ex=60)
    drains = DispatcherPool(os.environ["REDIS_URL"], 60)
    work = asyncio.run_coroutine_threadsafe(drains._drain(queue.space_id), drains._loop)
    await eventually(lambda: queue.redis.exists(queue.keys.lease(1)), "it has the lease")
    await queue.redis.pexpire(queue.keys.lease(1), LEASE_MS // 2)
    await eventually(lambda: all_renewed(queue.redis, [queue]), "it is renewed")
    drains.stop()
    await asyncio.wrap_future(work)
    assert kept.is_set()


async def test_a_worker_that_stops_while_it_takes_a_lease_claims_nothing(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes = Queue.acquire
    drains = DispatcherPool(os.environ["REDIS_URL"], 60)

    async def stops_meanwhile(self: Queue, holder: str) -> bool:
        has_it = await takes(self, holder)
        await asyncio.to_thread(drains.stop)
        return has_it

    monkeypatch.setattr(Queue, "acquire", stops_meanwhile)
    await queue.redis.set(queue.keys.route, encode(to_nobody(queue)), ex=60)
    await asyncio.wait_for(
        asyncio.wrap_future(asyncio.run_coroutine_threadsafe(drains._drain(queue.space_id), drains._loop)), 10
    )
    assert not await queue.redis.exists(queue.keys.lease(1))


@pytest.mark.long
async def test_a_worker_serves_many_spaces_at_once(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each dispatcher has a connection of its own to Redis; client libraries allow a hundred, unless told."""
    monkeypatch.setattr(queueing.dispatch.dispatcher, "LINGER_S", 300.0)
    monkeypatch.setattr(queueing.dispatch.worker, "RENEW_S", 1.0)
    queues = [Queue(redis, 10_000 + at) for at in range(150)]
    for queue in queues:
        await redis.set(queue.keys.route, encode(to_nobody(queue)), ex=60)
    drains = DispatcherPool(os.environ["REDIS_URL"], 60)
    works = [asyncio.run_coroutine_threadsafe(drains._drain(one.space_id), drains._loop) for one in queues]
    try:
        await eventually(lambda: all_listen(redis, queues), "every dispatcher listens")
        for queue in queues:
            await redis.pexpire(queue.keys.lease(1), LEASE_MS // 2)
        await eventually(lambda: all_renewed(redis, queues), "every lease is renewed")
    finally:
        drains.stop()
    for work in works:
        await asyncio.wrap_future(work)


async def all_listen(redis: Redis, queues: list[Queue]) -> bool:
    told = await redis.pubsub_numsub(*(queue.keys.wake for queue in queues))
    return all(count == 1 for _, count in told)


async def all_renewed(redis: Redis, queues: list[Queue]) -> bool:
    return all([await redis.pttl(queue.keys.lease(1)) > LEASE_MS // 2 for queue in queues])
