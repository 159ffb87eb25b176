"""Groups of functions: a quick one beside a busy one, and what many of them cost the storage."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from queueing.events import Join, new_event_id
from queueing.messages import completed
from queueing.store.queue import Queue
from tests.bench.client import Measured, load

if TYPE_CHECKING:
    from tests.bench.sides import Bench

NOOP, FIFTY_MS = 0, 1  # fn_index
BUSY_CLIENTS = 20
EVENTS = 2000  # joined, claimed and ended in each row
NUMBERS = (1, 5, 50)

_spaces = itertools.count(2_000_000)


def groups(bench: Bench) -> None:
    """Print both tables."""
    print("\n| a call of one group | alone, p50 / p95 | Spaceport |\n|---|---|---|")
    bench.concurrency(4)
    for name, busy in (("nobody else", 0), (f"{BUSY_CLIENTS} clients keep another group busy", BUSY_CLIENTS)):

        def measure(side: str, busy: int = busy) -> Measured:
            return asyncio.run(_beside(bench.bases()[side], busy, bench.options.seconds))

        runs = bench.rounds(measure)
        print(f"| {name} | {_times(runs['alone'])} | {_times(runs['Spaceport'])} |", flush=True)
    print("\n| groups with somebody waiting | ms an event: join, claim, end |\n|---|---|")
    for number in NUMBERS:
        print(f"| {number} | {asyncio.run(_cost(bench, number)):.2f} |", flush=True)


async def _beside(base: str, busy: int, seconds: float) -> Measured:
    others = asyncio.create_task(load(base, FIFTY_MS, clients=busy, seconds=seconds)) if busy else None
    measured = await load(base, NOOP, clients=1, seconds=seconds)
    if others is not None:
        await others
    return measured


def _times(runs: list[Measured]) -> str:
    middle = sorted(runs, key=lambda run: run.quantile(0.5))[len(runs) // 2]
    return f"{middle.quantile(0.5) * 1000:.0f} / {middle.quantile(0.95) * 1000:.0f} ms"


async def _cost(bench: Bench, number: int) -> float:
    """Milliseconds of one event's three scripts, of a queue nobody else uses, one after the other."""
    server = bench.platform.valkey().connection_pool.connection_kwargs
    redis = Redis(**{name: server[name] for name in ("host", "port", "password", "path") if server.get(name)})
    queue = Queue(redis, next(_spaces))
    try:
        await _join(queue, number, EVENTS // 2)  # who waits all the time
        assert await queue.acquire("bench")
        began = time.perf_counter()
        for _ in range(EVENTS):
            await _join(queue, number, 1)
            for call in (await queue.claim("bench"))[0]:
                event = call.events[0]
                end = completed(event.id, {"data": []})
                await queue.finish(event, call, "completed", end, free=True, took_s=0)
        return (time.perf_counter() - began) / EVENTS * 1000
    finally:
        async for key in redis.scan_iter(f"{queue.keys.prefix}*", count=1000):
            await redis.delete(key)
        await redis.aclose()


async def _join(queue: Queue, number: int, events: int) -> None:
    for at in range(events):
        await queue.join(
            Join(
                event_id=new_event_id(f"c{at}"),
                fn="0",
                channel=f"c{at}",
                body={"data": [at]},
                request={},
                group=f"/f{at % number}",
            )
        )
