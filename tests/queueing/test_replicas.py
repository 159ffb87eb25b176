"""One line, two replicas that serve it: who takes what."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from queueing.dispatch import reaper
from queueing.events import Accepted
from queueing.routes import Place, encode
from queueing.store import snapshot
from queueing.store.queue import LEAVE_S, Queue
from tests.events import a_route

Joins = Callable[..., Awaitable[Accepted]]
Configure = Callable[..., Awaitable[None]]


@pytest.fixture
async def two(queue: Queue, configure: Configure) -> None:
    """Both replicas serve, and each has a dispatcher."""
    await configure(replicas="1 2")
    assert await queue.acquire("1:d")
    assert await queue.acquire("2:d")


async def taken(queue: Queue, holder: str) -> list[str]:
    calls, _ = await queue.claim(holder)
    return [event.channel for call in calls for event in call.events]


@pytest.mark.usefixtures("two")
async def test_new_sessions_go_to_whoever_is_free(queue: Queue, join: Joins) -> None:
    for name in ("a", "b", "c"):
        await join(name, session=name)
    assert await taken(queue, "2:d") == ["a"]
    assert await taken(queue, "1:d") == ["b"]
    assert await taken(queue, "1:d") == await taken(queue, "2:d") == []


@pytest.mark.usefixtures("two")
async def test_a_session_waits_for_its_replica_and_holds_up_nobody(queue: Queue, join: Joins) -> None:
    for name in ("a", "a", "a", "b"):
        await join(name, session=name)
    assert await taken(queue, "1:d") == ["a"]
    assert await taken(queue, "2:d") == ["b"], "it passed the others of a"


@pytest.mark.usefixtures("two")
async def test_it_moves_when_its_replica_no_longer_serves(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await join("a", session="a")
    assert await taken(queue, "1:d") == ["a"]
    await join("a", session="a")
    await configure(replicas="2")
    assert await taken(queue, "2:d") == ["a"]
    await configure(replicas="1 2", concurrency_count=4)
    await join("a", session="a")
    assert await taken(queue, "1:d") == []
    assert await taken(queue, "2:d") == ["a"]


@pytest.mark.usefixtures("two")
async def test_who_is_busier_leaves_it_to_the_other_for_a_moment(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(concurrency_count=4)
    await join("a")
    assert await taken(queue, "1:d") == ["a"]
    await join("b")
    assert await taken(queue, "1:d") == []
    assert await taken(queue, "2:d") == ["b"]
    await join("c")
    await queue.redis.hincrbyfloat(queue.keys.event((await queue.pending_ids())[0]), "joined", -LEAVE_S)
    assert await taken(queue, "2:d") == ["c"]
    await join("d")
    await queue.redis.hincrbyfloat(queue.keys.event((await queue.pending_ids())[0]), "joined", -LEAVE_S)
    assert await taken(queue, "2:d") == ["d"], "the other had its chance"


@pytest.mark.usefixtures("two")
async def test_it_begins_where_its_files_are(queue: Queue, join: Joins) -> None:
    await join("a", session="a", home="2")
    await join("b", session="b", home="3")
    assert await taken(queue, "1:d") == ["b"], "no such replica serves"
    assert await taken(queue, "2:d") == ["a"]


@pytest.mark.usefixtures("two")
async def test_a_death_returns_what_ran_there_and_it_goes_on_there(queue: Queue, join: Joins) -> None:
    for name in ("a", "b"):
        await join(name)
    assert await taken(queue, "1:d") == ["a"]
    assert await taken(queue, "2:d") == ["b"]
    await queue.redis.delete(queue.keys.lease(1))
    assert await taken(queue, "2:d") == []
    assert await queue.acquire("1:heir")
    assert len(await queue.pending_ids()) == 1
    assert await taken(queue, "2:d") == []
    assert await taken(queue, "1:heir") == ["a"]


@pytest.mark.usefixtures("two")
async def test_the_reaper_looks_for_every_replica(queue: Queue, join: Joins, configure: Configure) -> None:
    others = (Place(2, "127.0.0.1:2", "hw.cpu@there"),)
    route = a_route(queue.space_id, replica_id=1, address="127.0.0.1:1", others=others)
    await queue.redis.set(queue.keys.route, encode(route))
    await join("a")
    assert await taken(queue, "1:d") == ["a"]
    assert await reaper.forgotten(queue.redis, [queue.space_id]) == []
    await queue.redis.delete(queue.keys.lease(2))
    assert await reaper.forgotten(queue.redis, [queue.space_id]) == [route]
    assert (await join("b")).wake
    assert await queue.acquire("2:d")
    await queue.redis.delete(queue.keys.lease(1))
    await configure(replicas="2")
    assert await reaper.forgotten(queue.redis, [queue.space_id]) == []
    assert await taken(queue, "2:d") == ["a"], "what ran on the one that is gone comes first"


@pytest.mark.usefixtures("two")
async def test_the_forecast_counts_the_places_of_both(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(serving="1")
    await queue.redis.hset(queue.keys.service, mapping={"t:0": "8,8,8,8", "b:0": 0})
    await queue.redis.expire(queue.keys.service, 60)
    await asyncio.gather(*(join(name) for name in ("a", "b", "c")))
    lines = await snapshot.load(queue.redis, queue.space_id)
    assert lines.by_name["main"].limit == 2
    starts = [lines.by_name["main"].starts.at(place) for place in range(3)]
    assert [eta and eta.likely for eta in starts] == [0.0, 0.0, 8.0]
