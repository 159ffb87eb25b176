"""Finds what sends no notice: work without a dispatcher, and visitors who left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from queueing.lines import all_lines
from queueing.routes import Route, decode
from queueing.store.keys import SpaceKeys
from queueing.store.queue import Queue
from queueing.store.scripts import seconds
from queueing.store.work import keys_of_work

if TYPE_CHECKING:
    from redis.asyncio import Redis


async def at_work(redis: Redis, space_ids: Sequence[int]) -> list[int]:
    """Those of the Spaces that have events, or visitors who wait. One command each: most have none."""
    pipe = redis.pipeline(transaction=False)
    for space_id in space_ids:
        pipe.exists(*keys_of_work(space_id), SpaceKeys(space_id).seen)
    answers = await pipe.execute()
    return [space_id for space_id, there in zip(space_ids, answers, strict=True) if there]


async def forgotten(redis: Redis, space_ids: Sequence[int]) -> list[Route]:
    """Routes of Spaces with pending or running events and a replica without a live lease: it needs a
    dispatcher. Or they sleep and must wake (a join while the last dispatcher ends wakes nobody). What ran on
    a replica that is gone is returned to the line."""
    pipe = redis.pipeline(transaction=False)
    for space_id in space_ids:
        pipe.zrange(SpaceKeys(space_id).lines, 0, -1)
        pipe.hget(SpaceKeys(space_id).cfg, "replicas")
    answers = await pipe.execute()
    pipe = redis.pipeline(transaction=False)
    serving = []
    for space_id, known, named in zip(space_ids, answers[::2], answers[1::2], strict=True):
        k = SpaceKeys(space_id)
        replicas = named.decode().split() if named is not None else []
        serving.append(len(replicas))
        pipe.exists(*(k.lease(replica) for replica in replicas or [""]))
        pipe.exists(*(key for name in all_lines(known) for key in (k.wait(name), k.next(name))))
        pipe.exists(k.running)
        pipe.get(k.route)
    answers = await pipe.execute()
    found = []
    for at, (space_id, many) in enumerate(zip(space_ids, serving, strict=True)):
        alive, pending, running, raw = answers[at * 4 : at * 4 + 4]
        if running and many:
            pending += await Queue(redis, space_id).reap()
        if (pending or running) and alive < max(many, 1) and raw is not None:
            found.append(decode(raw))
    return found


async def cancel_abandoned(redis: Redis, space_ids: Sequence[int], *, grace_s: float) -> int:
    """Cancel pending events of pages not seen for `grace_s` seconds; how many."""
    cancelled = 0
    now = seconds(await redis.time())
    pipe = redis.pipeline(transaction=False)
    for space_id in space_ids:
        pipe.zrangebyscore(SpaceKeys(space_id).seen, 0, now - grace_s)
    for space_id, gone in zip(space_ids, await pipe.execute(), strict=True):
        k = SpaceKeys(space_id)
        for raw in gone:
            channel = raw.decode()
            for event_id in await redis.smembers(k.open(channel)):
                cancelled += await _leave(redis, space_id, event_id.decode(), channel)
            await redis.zrem(k.seen, channel)
    return cancelled


async def _leave(redis: Redis, space_id: int, event_id: str, channel: str) -> bool:
    queue = Queue(redis, space_id)
    fields = await queue.state(event_id, "state")
    if fields.get("state") == "pending":
        return await queue.cancel(event_id, channel) == "cancelled"
    # A running generator is stopped; a plain function's result is kept for a visitor who returns.
    await redis.publish(queue.keys.wake, f"leave {event_id}")
    return False
