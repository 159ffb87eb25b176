"""A container went away: what its events and its owner are told, by what its node says of the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import queueing.dispatch.deaths
from hardware import redis_keys
from hardware.runtimes.base import Exit
from hardware.upkeep import death_notes
from infra.redis_clients import sync_redis
from queueing.dispatch.deaths import Deaths
from queueing.dispatch.owner_log import OwnerLog
from queueing.events import Accepted, Call
from queueing.routes import App, Function, Route
from queueing.stats import memory_ends
from queueing.stats.memory_ends import MemoryEnd, Ran
from queueing.store.queue import Queue
from tests.events import a_route, publish

Joins = Callable[..., Awaitable[Accepted]]
Configure = Callable[..., Awaitable[None]]

GIB = 1024**3
FULL = Exit(
    code=-9, reason="", out_of_memory=True, memory_limit_bytes=4 * GIB, memory_peak_bytes=int(4.3 * GIB)
)
NUMBERS = "(limit 4 GB, used 4.3 GB)"


@pytest.fixture
async def route(queue: Queue) -> Route:
    """A replica that runs and nobody asks."""
    app = App(functions=(Function(id=0, api_name="predict"),))
    made = a_route(queue.space_id, replica_id=7, address="127.0.0.1:1", app=app)
    await publish(queue.redis, made)
    await queue.redis.hset(queue.keys.cfg, mapping={"replicas": "7", "serving": 1})
    await queue.acquire("7:d")
    return made


async def die(queue: Queue, route: Route) -> list[Call]:
    """All that may run begins, and the container goes away."""
    calls, _ = await queue.claim("7:d")
    deaths = Deaths(queue, route, OwnerLog(queue.redis, route.space_id))
    with contextlib.ExitStack() as running:
        for call in calls:
            running.enter_context(deaths.running(call))
        await asyncio.gather(*(deaths.died(call, call.events) for call in calls))
    for call in calls:
        await queue.free(call)
    assert deaths.happened.is_set()
    return calls


async def said(queue: Queue, channel: str) -> list[dict[str, Any]]:
    entries = await queue.redis.xrange(queue.keys.messages(channel))
    return [json.loads(fields[b"d"]) for _, fields in entries if b"d" in fields]


async def state(queue: Queue, event_id: str) -> str:
    return (await queue.state(event_id, "state"))["state"]


def kept(queue: Queue) -> list[MemoryEnd]:
    return memory_ends.load(sync_redis(), queue.space_id, within_s=60)


async def test_who_ran_out_of_memory_alone_fails_at_once_with_the_numbers(
    queue: Queue, join: Joins, route: Route
) -> None:
    death_notes.write(sync_redis(), 7, FULL)
    event_id = (await join("s")).event_id
    await die(queue, route)
    assert await state(queue, event_id) == "failed"
    *before, last = await said(queue, "s")
    assert [message["msg"] for message in before] == []
    assert f"ran out of memory {NUMBERS}" in last["output"]["error"]
    assert last["title"] == "Out of memory"
    (end,) = kept(queue)
    assert end.ran == (Ran(function="predict", group="", calls=1),)
    assert (end.limit_bytes, end.peak_bytes) == (4 * GIB, int(4.3 * GIB))


async def test_those_who_ran_out_of_memory_together_are_tried_again_alone(
    queue: Queue, join: Joins, configure: Configure, route: Route
) -> None:
    """Which of them took it nobody knows; the one that does it again by itself has the reason."""
    await configure(concurrency_count=3)
    death_notes.write(sync_redis(), 7, FULL)
    ids = [(await join(f"s{n}", body={"data": [n], "fn_index": 0})).event_id for n in range(3)]
    await die(queue, route)
    assert [await state(queue, one) for one in ids] == ["pending"] * 3
    (notice,) = await said(queue, "s0")
    assert notice["code"] == "event.interrupted"
    assert f"{NUMBERS} while it worked on this and 2 others" in notice["log"]
    assert len(await die(queue, route)) == 1
    assert sorted([await state(queue, one) for one in ids]) == ["failed", "pending", "pending"]
    assert [end.calls for end in kept(queue)] == [1, 3]
    line = (await queue.redis.xrange(redis_keys.log("run", queue.space_id)))[0][1][b"text"].decode()
    assert line == (
        "Spaceport: Ran out of memory: 4.3 GB of 4 GB, while 3 calls of predict ran at once. "
        "Fewer calls at once, or larger hardware, would help."
    )


async def test_who_may_not_be_tried_again_fails_with_the_numbers_too(
    queue: Queue, join: Joins, configure: Configure, route: Route
) -> None:
    await configure(concurrency_count=2, retry=0)
    death_notes.write(sync_redis(), 7, FULL)
    ids = [(await join(f"s{n}")).event_id for n in range(2)]
    await die(queue, route)
    assert [await state(queue, one) for one in ids] == ["failed"] * 2
    assert NUMBERS in (await said(queue, "s1"))[-1]["output"]["error"]


async def test_another_end_is_tried_once_more_and_keeps_nothing(
    queue: Queue, join: Joins, route: Route
) -> None:
    death_notes.write(sync_redis(), 7, Exit(code=3, reason=""))
    event_id = (await join("s")).event_id
    await die(queue, route)
    assert await state(queue, event_id) == "pending"
    assert kept(queue) == []


async def test_without_a_note_the_end_has_no_known_cause(
    queue: Queue, join: Joins, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one of before the replica served again is no note."""
    monkeypatch.setattr(queueing.dispatch.deaths, "NOTED_WITHIN_S", 0.2)
    death_notes.write(sync_redis(), 7, FULL)
    death_notes.forget(sync_redis(), 7)
    event_id = (await join("s")).event_id
    await die(queue, route)
    assert await state(queue, event_id) == "pending"
    assert "went away" in (await said(queue, "s"))[0]["log"]


async def test_a_batch_counts_as_one_call_with_its_inputs_and_each_is_tried_alone(
    queue: Queue, join: Joins, configure: Configure, route: Route
) -> None:
    await configure(batch=1, max_batch_size=4)
    death_notes.write(sync_redis(), 7, FULL)
    ids = [(await join(f"s{n}", batch=4)).event_id for n in range(4)]
    await die(queue, route)
    assert [await state(queue, one) for one in ids] == ["pending"] * 4
    assert kept(queue)[0].ran == (Ran(function="predict", group="", calls=1, inputs=4),)
