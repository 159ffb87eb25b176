"""What becomes of accepted events when their storage dies: Valkey killed with and without its append-only
file, and a failover. Servers of the test's own, killed for real."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import redis.exceptions

from queueing.delivery.streams import RESET, MessageStreams
from queueing.errors import NotStored
from queueing.events import Join, decode, new_event_id
from queueing.messages import completed
from queueing.store.keys import SpaceKeys
from queueing.store.options import QueueOptions
from queueing.store.pipelining import auto_pipeline
from queueing.store.queue import Queue
from queueing.store.retry import retry_until_stored
from tests.events import a_join
from tests.valkeys import Valkey, pair
from tests.waiting import eventually, wait_until


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path / "aof").start()
    yield server
    server.kill()


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path / "none", durable=False).start()
    yield server
    server.kill()


def _more_than(found: list[str], number: int) -> bool:
    return len(found) > number


def numbered(n: int, channel: str, key: str = "") -> Join:
    return a_join(channel, body={"data": [n]}, visitor=channel, idempotency_key=key)


async def test_kill_9_with_the_append_only_file_loses_nothing_and_keeps_the_order(durable: Valkey) -> None:
    """Eight clients join all the time; each repeats by its key what had no answer."""
    client = durable.client()
    queue = Queue(client, 1)
    acknowledged: list[str] = []
    kills = 3

    async def joins(name: str) -> None:
        for n in range(60):
            while True:
                try:
                    accepted = await queue.join(numbered(n, name, f"{name}-{n}"))
                except (redis.exceptions.RedisError, OSError):
                    await asyncio.sleep(0.02)
                    continue
                acknowledged.append(accepted.event_id)
                break

    tasks = [asyncio.create_task(joins(f"c{n}")) for n in range(8)]
    for kill in range(1, kills + 1):
        await eventually(partial(_more_than, acknowledged, kill * 100), "joins go on")
        await asyncio.to_thread(durable.kill)
        began = time.monotonic()
        await asyncio.to_thread(durable.start)
        assert time.monotonic() - began < 10
    await asyncio.gather(*tasks)
    pending = await retry_until_stored(queue.pending_ids)  # the last kill may have come after the last join
    assert len(acknowledged) == len(set(acknowledged)) == 480
    assert sorted(pending) == sorted(acknowledged), "none lost, none twice"
    order = {event_id: at for at, event_id in enumerate(pending)}
    for name in range(8):
        mine = [e for e in acknowledged if e.startswith(new_event_id(f"c{name}")[:12])]
        assert [order[e] for e in mine] == sorted(order[e] for e in mine)
    await client.aclose()


async def test_a_socket_lives_through_a_restart_and_hears_the_end(durable: Valkey) -> None:
    client = durable.client()
    queue = Queue(client, 1)
    accepted = await queue.join(numbered(1, "s"))
    streams = MessageStreams(client)
    heard: list[bytes] = []

    async def follow() -> None:
        async for message in streams.follow(SpaceKeys(1), "s"):
            heard.append(message.payload)

    task = asyncio.create_task(follow())
    await eventually(lambda: streams._followers, "it follows")
    await asyncio.to_thread(durable.kill)
    await asyncio.sleep(0.5)
    assert not task.done(), "it waits for Redis"
    await asyncio.to_thread(durable.start)
    # The first to use a connection that died with the server hears of it.
    assert await retry_until_stored(lambda: queue.acquire("d"))
    (call,), _ = await queue.claim("d")
    payload = completed(accepted.event_id, {"data": []})
    assert await queue.finish(call.events[0], call, "completed", payload, free=True, took_s=0)
    await eventually(lambda: heard == [payload], f"the end is heard once: {heard}", timeout_s=25)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await streams.close()
    await client.aclose()


async def test_what_failed_while_redis_was_away_is_not_done_later(durable: Valkey) -> None:
    """Whoever asked was told that it failed: a claim done behind its back would take events nobody knows."""
    client = durable.client()
    await auto_pipeline(client).execute("INCR", "done")
    await asyncio.to_thread(durable.kill)
    for _ in range(3):
        with pytest.raises((redis.exceptions.RedisError, OSError)):
            await auto_pipeline(client).execute("INCR", "done")
    await asyncio.to_thread(durable.start)
    assert await auto_pipeline(client).execute("GET", "done") == b"1"
    await client.aclose()


async def test_a_reset_tells_everybody_within_25_seconds(forgetful: Valkey) -> None:
    """Also those whose session it knows no event of, and the next event of the session is heard."""
    client = forgetful.client()
    queue = Queue(client, 1)
    streams = MessageStreams(client)
    names = [*(f"s{n}" for n in range(20)), "idle"]
    heard: dict[str, list[dict[str, object]]] = {name: [] for name in names}

    async def follow(channel: str) -> None:
        async for message in streams.follow(SpaceKeys(1), channel):
            heard[channel].append(decode(message.payload))

    ids = {name: (await queue.join(numbered(1, name))).event_id for name in heard if name != "idle"}
    tasks = [asyncio.create_task(follow(name)) for name in heard]
    await eventually(
        lambda: sum(f.epoch != b"" for fs in streams._followers.values() for f in fs) == 21, "all follow"
    )
    await asyncio.to_thread(forgetful.kill)
    await asyncio.to_thread(forgetful.start)
    began = time.monotonic()
    await eventually(lambda: all(heard.values()), "everybody hears of it", timeout_s=25)
    print(f"told after {time.monotonic() - began:.1f} s")
    for name, event_id in ids.items():
        (end,) = heard[name]
        assert end["msg"] == "process_completed"
        assert end["success"] is False
        assert end["event_id"] == event_id
        assert RESET in str(end["output"])
    assert heard["idle"][0]["msg"] == "unexpected_error"

    again = await queue.join(numbered(2, "s0"))
    await queue.acquire("d")
    (call,), _ = await queue.claim("d")
    assert await queue.finish(
        call.events[0], call, "completed", completed(again.event_id, {}), free=True, took_s=0
    )
    await eventually(lambda: len(heard["s0"]) == 2, "what comes after it is heard")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await streams.close()
    await client.aclose()


async def failover(tmp_path: Path, options: QueueOptions) -> tuple[set[str], set[str], int]:
    """Joins at a primary whose replica is cut off; the replica takes over. Acknowledged, there, refused."""
    async with pair(tmp_path) as servers:
        client, heir = servers.client, servers.heir
        queue = Queue(client, 1, options)
        acknowledged: set[str] = set()
        refused = 0
        for n in range(30):
            if n == 15:
                servers.relay.cut()
            try:
                acknowledged.add((await queue.join(numbered(n, f"s{n}", f"k{n}"))).event_id)
            except NotStored:
                refused += 1
                if refused == 5:
                    break
        assert await client.zcard(queue.keys.wait("main")) == len(acknowledged), "nothing kept of a refusal"
        await servers.fail_over()
        there = set(await Queue(heir, 1).pending_ids())
        # What was refused is sent again under its key, and is new to the new primary.
        assert not (await Queue(heir, 1).join(numbered(15, "s15", "k15"))).replayed or not refused
        return acknowledged, there, refused


async def test_a_failover_loses_nothing_acknowledged(tmp_path: Path) -> None:
    acknowledged, there, refused = await failover(tmp_path, QueueOptions(redis_replicas=1))
    assert len(acknowledged) == 15
    assert acknowledged <= there
    assert refused == 5, "told readably, not accepted and lost"


async def test_without_waiting_for_the_replica_a_failover_loses_events(tmp_path: Path) -> None:
    """The other half of the proof: the test above sees what WAIT is for."""
    acknowledged, there, refused = await failover(tmp_path, QueueOptions())
    assert refused == 0
    assert len(acknowledged - there) >= 10


def test_valkey_is_back_within_3_seconds(durable: Valkey) -> None:
    for _ in range(3):
        durable.kill()
        began = time.monotonic()
        durable.start()
        wait_until(durable.answers, "it answers")
        assert time.monotonic() - began < 3
