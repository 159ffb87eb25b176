"""Who hangs up while a call runs: where the owner wants such calls ended (`cancel_on_disconnect`), and where
others wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from queueing.delivery import presence
from queueing.delivery.positions import Positions
from queueing.delivery.waiters import Waiter
from queueing.dispatch.dispatcher import somebody_waits_for
from queueing.events import Call
from queueing.store.queue import Queue
from queueing.store.scripts import seconds
from tests.waiting import eventually

Joins = Callable[..., Awaitable[Any]]
Configure = Callable[..., Awaitable[None]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "RELOAD_GRACE_S", 1.5)
    monkeypatch.setattr(presence, "PRESENT_EVERY_S", 0.2)
    monkeypatch.setattr(presence, "GONE_S", 2.0)
    monkeypatch.setattr(presence, "CHECK_EVERY_S", 0.1)


@pytest.fixture
async def told(queue: Queue, redis: Redis) -> AsyncIterator[list[str]]:
    """What the dispatcher was told of those who are gone."""
    heard: list[str] = []

    async def listen() -> None:
        async for message in pubsub.listen():
            word, _, what = message["data"].decode().partition(" ")
            if word in ("gone", "away"):
                heard.append(what if word == "gone" else f"away {what}")

    async with redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe(queue.keys.wake)
        task = asyncio.create_task(listen())
        yield heard
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def begin(queue: Queue, event_id: str) -> None:
    """Its call runs."""
    await queue.redis.hset(queue.keys.event(event_id), "state", "running")


class Connection:
    """One connection of a session to a web process."""

    def __init__(self, positions: Positions, queue: Queue, channel: str) -> None:
        self.positions = positions
        self.waiter = Waiter(queue.space_id, channel, lambda _: None)
        positions.add(self.waiter)

    async def known(self) -> None:
        """The process has read what the owner wants."""
        await self.positions.refresh(self.waiter.space_id)

    def close(self) -> None:
        self.positions.drop(self.waiter)


async def test_the_call_of_who_hangs_up_is_to_be_ended(
    queue: Queue, redis: Redis, join: Joins, configure: Configure, told: list[str]
) -> None:
    await configure(cancel_on_disconnect=1)
    event = await join("gone")
    await begin(queue, event.event_id)
    connection = Connection(Positions(redis), queue, "gone")
    await connection.known()
    connection.close()
    await eventually(lambda: told == [event.event_id], "the dispatcher is told")


async def test_who_is_back_by_any_process_and_what_came_later_are_left_alone(
    queue: Queue, redis: Redis, join: Joins, configure: Configure, told: list[str]
) -> None:
    await configure(cancel_on_disconnect=1)
    here = Positions(redis)
    events = {channel: await join(channel) for channel in ("back here", "back there", "new call")}
    first = [Connection(here, queue, channel) for channel in events]
    await first[0].known()
    for connection in first:
        connection.close()
    again = Connection(here, queue, "back here")
    later = seconds(await redis.time()) + 60  # surely after they left, however slow this machine is
    await redis.zadd(queue.keys.seen, {"back there": later})
    await redis.hset(queue.keys.event(events["new call"].event_id), "joined", later)
    gone = await join("gone")
    await begin(queue, gone.event_id)
    last = Connection(here, queue, "gone")
    await last.known()
    last.close()
    # It left last: the others were thought about before.
    await eventually(lambda: told, "somebody is gone")
    assert told == [gone.event_id], "only who stays away"
    again.close()


async def test_a_process_marks_its_visitors_present_again_and_again(
    queue: Queue, redis: Redis, configure: Configure
) -> None:
    await configure(cancel_on_disconnect=1)
    connection = Connection(Positions(redis), queue, "here")
    marks: set[float | None] = set()

    async def often() -> bool:
        marks.add(await redis.zscore(queue.keys.seen, "here"))
        return len(marks - {None}) >= 6

    await eventually(often, "it is marked")
    connection.close()


async def test_without_the_setting_the_dispatcher_is_told_until_the_call_ends_and_sees_whether_others_wait(
    queue: Queue, redis: Redis, join: Joins, told: list[str]
) -> None:
    event = await join("gone")
    await begin(queue, event.event_id)
    connection = Connection(Positions(redis), queue, "gone")
    await connection.known()
    connection.close()
    await eventually(lambda: len(told) >= 3, "again and again")
    assert set(told) == {f"away {event.event_id}"}
    await redis.delete(queue.keys.open("gone"))

    async def no_more() -> bool:
        before = len(told)
        await asyncio.sleep(5 * presence.CHECK_EVERY_S)
        return len(told) == before

    await eventually(no_more, "it is over")


async def test_whose_calls_are_all_over_is_not_missed(
    queue: Queue, redis: Redis, join: Joins, told: list[str]
) -> None:
    await join("done")
    gone = await join("gone")
    await begin(queue, gone.event_id)
    here = Positions(redis)
    done, last = Connection(here, queue, "done"), Connection(here, queue, "gone")
    done.waiter.done = True
    done.close()
    last.close()
    await eventually(lambda: told, "the other one is")
    assert set(told) == {f"away {gone.event_id}"}


async def test_a_process_marks_those_whose_calls_run_again_and_again(
    queue: Queue, redis: Redis, join: Joins
) -> None:
    """No other process is to take them for gone."""
    event = await join("here")
    await join("waits")
    await redis.zadd(queue.keys.running, {event.event_id: 1.0})
    here = Positions(redis)
    connections = [Connection(here, queue, channel) for channel in ("here", "waits")]
    marks: dict[str, set[float | None]] = {"here": set(), "waits": set()}

    async def often() -> bool:
        for channel, seen in marks.items():
            seen.add(await redis.zscore(queue.keys.seen, channel))
        return len(marks["here"]) >= 6

    await eventually(often, "it is marked")
    assert len(marks["waits"]) <= 3, "who waits is marked seldom"
    for connection in connections:
        connection.close()


@pytest.mark.parametrize(
    ("pending", "total", "waits"),
    [
        ({}, 0, False),
        ({"main:a": 1}, 0, True),
        ({"main:b": 1}, 0, False),
        ({"side": 3}, 0, False),
        ({"main:b": 1}, 2, True),
        ({}, 2, False),
    ],
)
def test_who_is_helped_by_a_calls_end_waits_for_its_place(
    pending: dict[str, int], total: int, waits: bool
) -> None:
    call = Call(line="main:a", token=1, slots=1, total=total, events=())
    assert somebody_waits_for(call, pending) is waits
