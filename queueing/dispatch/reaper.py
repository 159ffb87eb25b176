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
    """Routes of Spaces with pending or running events and no live lease: their replica needs a
    dispatcher, or they sleep and must wake (a join while the last dispatcher ends wakes nobody)."""
    pipe = redis.pipeline(transaction=False)
    for space_id in space_ids:
        pipe.zrange(SpaceKeys(space_id).lines, 0, -1)
    lines = await pipe.execute()
    pipe = redis.pipeline(transaction=False)
    for space_id, known in zip(space_ids, lines, strict=True):
        k = SpaceKeys(space_id)
        pipe.exists(k.lease)
        pipe.exists(k.running, *[key for name in all_lines(known) for key in (k.wait(name), k.next(name))])
        pipe.get(k.route)
    answers = await pipe.execute()
    found = []
    for alive, work, raw in zip(answers[::3], answers[1::3], answers[2::3], strict=True):
        if work and not alive and raw is not None:
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
