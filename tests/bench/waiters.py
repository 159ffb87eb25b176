"""What it costs one web process to keep many waiters' places fresh: CPU of one round in which every place has
changed. `python -m tests.bench.waiters 10000` (needs REDIS_URL; uses keys of a Space that does not exist)."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time

from redis.asyncio import Redis

from queueing.delivery.positions import Positions
from queueing.delivery.waiters import Place, Waiter
from queueing.events import new_event_id
from queueing.store.keys import SpaceKeys
from tests.waiting import eventually

SPACE = 999_999_999
ROUNDS = 5


async def measure(count: int) -> list[float]:
    """CPU seconds of each round, the first one after everybody was told once."""
    redis = Redis.from_url(os.environ["REDIS_URL"])
    k, heard = SpaceKeys(SPACE), 0

    def hear(_: Place) -> None:
        nonlocal heard
        heard += 1

    positions = Positions(redis)
    channels = [f"channel-{n}" for n in range(count)]
    ids = [new_event_id(channel, str(n % 3)) for n, channel in enumerate(channels)]
    try:
        await redis.zadd(k.wait("main"), {event_id: n for n, event_id in enumerate(ids)})
        await redis.hset(k.service, mapping={f"t:{fn}": ",".join(["2.5"] * 100) for fn in range(3)})
        async with asyncio.TaskGroup() as group:
            ended = asyncio.Event()

            async def wait(channel: str) -> None:
                async with positions.waiting(Waiter(SPACE, channel, hear, present=False)):
                    await ended.wait()

            for channel in channels:
                group.create_task(wait(channel))
            await eventually(lambda: heard >= count, "everybody is told once", timeout_s=120)
            spent = []
            for event_id in ids[:ROUNDS]:
                await redis.zrem(k.wait("main"), event_id)
                before, began = heard, time.process_time()
                await positions.refresh(SPACE)
                spent.append(time.process_time() - began)
                assert heard - before >= count - ROUNDS
            ended.set()
        return spent
    finally:
        await redis.delete(k.wait("main"), k.service, k.promises)
        await redis.aclose()


if __name__ == "__main__":
    waiters = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    took = asyncio.run(measure(waiters))
    print(f"{waiters:,} waiters, every place changed: {statistics.median(took) * 1000:.0f} ms CPU a round")
