"""Fencing tokens after a failover: the replica that took over may not know the last ones that were
given, and must not give them again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from queueing.messages import completed
from queueing.store.queue import Queue
from queueing.store.scripts import Script
from tests.events import a_join
from tests.invariants.test_each_defence_is_needed import use, without
from tests.valkeys import Valkey, pair
from tests.waiting import eventually

JUMP = "known and known ~= here and 1000000 or 1"
renew = Script("renew")


async def a_stale_result(tmp_path: Path) -> tuple[bool, bytes]:
    """An event claimed at the primary when its replica was cut off already, and claimed again there when it
    took over: whether the first call's result is taken, and what the old lease is worth there."""
    async with pair(tmp_path) as servers:
        client, heir = servers.client, servers.heir
        old, new = Queue(client, 1), Queue(heir, 1)
        assert await old.acquire("before")
        accepted = await old.join(a_join(visitor="s"))
        await eventually(lambda: new.pending_ids(), "the replica has the event")
        servers.relay.cut()
        # Another died and was followed meanwhile: the counters of the two are no longer the same.
        await client.incr(old.keys.fence)
        (stale,), _ = await old.claim("before")
        await servers.fail_over()
        k = new.keys
        (kept, *_) = await renew(
            heir, lease=k.lease(""), storage=k.storage, fence=k.fence, holder="before", ttl_ms=15_000
        )
        await heir.delete(k.lease(""))
        assert await new.acquire("after")
        (again,), _ = await new.claim("after")
        assert again.events[0].id == accepted.event_id
        payload = completed(accepted.event_id, {})
        taken = await new.finish(stale.events[0], stale, "completed", payload, free=True, took_s=None)
        return taken, kept


async def test_a_result_of_before_a_failover_is_stale_and_so_is_the_lease(tmp_path: Path) -> None:
    assert await a_stale_result(tmp_path) == (False, b"lost")


async def test_without_the_jump_it_would_be_taken_for_the_new_call(tmp_path: Path) -> None:
    with use(without("acquire", JUMP, "1")):
        taken, _ = await a_stale_result(tmp_path)
    assert taken


@pytest.mark.parametrize("times", [1, 3])
async def test_without_a_failover_nothing_is_jumped(queue: Queue, times: int) -> None:
    for n in range(times):
        assert await queue.acquire(f"d{n}")
        await queue.release(f"d{n}", force=True)
    assert int(await queue.redis.get(queue.keys.fence) or 0) == times


async def test_a_restart_with_the_append_only_file_keeps_the_lease_and_what_runs(tmp_path: Path) -> None:
    """Nobody is made to run twice because Redis was restarted; and no token is given a second time."""
    server = Valkey(tmp_path / "valkey").start()
    client = server.client()
    queue = Queue(client, 1)
    assert await queue.acquire("d")
    await queue.join(a_join(visitor="s"))
    (running,), _ = await queue.claim("d")
    server.kill()
    await asyncio.to_thread(server.start)
    await client.connection_pool.disconnect()
    k = queue.keys
    keys = {"lease": k.lease(""), "storage": k.storage, "fence": k.fence}
    assert await renew(client, **keys, holder="d", ttl_ms=15_000) == [b"held"]
    assert int(await client.get(k.fence)) >= running.token + 1_000_000
    jumped = int(await client.get(k.fence))
    assert await renew(client, **keys, holder="d", ttl_ms=15_000) == [b"held"]
    assert int(await client.get(k.fence)) == jumped, "once"
    payload = completed(running.events[0].id, {})
    assert await queue.finish(running.events[0], running, "completed", payload, free=True, took_s=None)
    await client.aclose()
    server.kill()
