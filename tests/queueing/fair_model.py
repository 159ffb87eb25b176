"""The fair policy in plain Python, to compare the scripts with; and a queue on a client of its own."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from redis.asyncio import Redis

from queueing.events import Join, new_event_id
from queueing.store.queue import Queue

_spaces = itertools.count(500_000)


@dataclass
class FairModel:
    """One lane: who is next by tags, a tie by arrival."""

    page_weight: int = 2
    virtual: int = 0
    arrivals: int = 0
    tags: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, tuple[int, int, str]] = field(default_factory=dict)  # id -> tag, arrival, visitor

    def join(self, event_id: str, visitor: str, origin: str) -> int:
        """Take a place; the position."""
        step = 1 if origin == "page" else self.page_weight
        tag = max(self.virtual, self.tags.get(visitor, 0)) + step
        self.tags[visitor] = tag
        self.arrivals += 1
        self.waiting[event_id] = (tag, self.arrivals, visitor)
        return self.order().index(event_id)

    def order(self) -> list[str]:
        """Who waits, in the order they will be served."""
        return sorted(self.waiting, key=lambda event_id: self.waiting[event_id][:2])

    def claim(self) -> str | None:
        """The next one leaves the line."""
        if not self.waiting:
            return None
        event_id = self.order()[0]
        self.virtual = self.waiting[event_id][0]
        self.leave(event_id)
        return event_id

    def leave(self, event_id: str) -> None:
        """Out of the line, served or cancelled; an empty line forgets everything."""
        visitor = self.waiting.pop(event_id)[2]
        if all(visitor != other for _, _, other in self.waiting.values()):
            self.tags.pop(visitor, None)
        if not self.waiting:
            self.virtual = 0
            self.tags.clear()


@asynccontextmanager
async def fresh_queue(**settings: object) -> AsyncIterator[Queue]:
    """A new Space's queue with one place, its lease held by "d"; all of it is forgotten afterwards."""
    client = Redis.from_url(os.environ["REDIS_URL"])
    queue = Queue(client, next(_spaces))
    try:
        await client.hset(
            queue.keys.cfg, mapping={"policy": "fifo", **{k: str(v) for k, v in settings.items()}}
        )
        await queue.acquire("d")
        yield queue
    finally:
        if left := [key async for key in client.scan_iter(f"{queue.keys.prefix}*", count=10_000)]:
            await client.delete(*left)
        await client.aclose()


async def join(queue: Queue, visitor: str, origin: str, **values: object) -> tuple[str, int]:
    """One event of this visitor: its id and position."""
    channel = f"{visitor}-channel"
    accepted = await queue.join(
        Join(
            event_id=new_event_id(channel, "0"),
            fn="0",
            channel=channel,
            body={},
            request={},
            origin=origin,
            visitor=visitor,
            **values,  # type: ignore[arg-type]
        )
    )
    return accepted.event_id, accepted.position


async def serve_one(queue: Queue) -> str | None:
    """Claim the next event and end it; its id."""
    calls, _ = await queue.claim("d")
    for call in calls:
        for event in call.events:
            await queue.finish(event, call, "completed", b"{}", free=True, took_s=0)
    return calls[0].events[0].id if calls else None
