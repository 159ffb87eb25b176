"""Who hangs up while a call runs, where the owner wants such calls ended (`cancel_on_disconnect`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from queueing import departures
from queueing.positions import Positions, Waiter
from queueing.queue import Queue
from queueing.scripts import seconds
from tests.waiting import eventually

Joins = Callable[..., Awaitable[Any]]
Configure = Callable[..., Awaitable[None]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departures, "AWAY_S", 1.5)
    monkeypatch.setattr(departures, "PRESENT_EVERY_S", 0.2)


@pytest.fixture
async def told(queue: Queue, redis: Redis) -> AsyncIterator[list[str]]:
    """What the dispatcher was told of those who are gone."""
    heard: list[str] = []

    async def listen() -> None:
        async for message in pubsub.listen():
            word, _, what = message["data"].decode().partition(" ")
            if word == "gone":
                heard.append(what)

    async with redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe(queue.keys.wake)
        task = asyncio.create_task(listen())
        yield heard
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


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


async def test_without_the_setting_nobody_is_missed(
    queue: Queue, redis: Redis, join: Joins, configure: Configure, told: list[str]
) -> None:
    await join("free")
    free = Connection(Positions(redis), queue, "free")
    await free.known()
    free.close()
    await configure(cancel_on_disconnect=1)
    gone = await join("gone")
    last = Connection(Positions(redis), queue, "gone")
    await last.known()
    last.close()
    await eventually(lambda: told == [gone.event_id], "only the later one is told of")
