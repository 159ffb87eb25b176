"""An event in a Space's queue, as a visitor's call puts it there."""

from __future__ import annotations

import asyncio
import os

from redis.asyncio import Redis

from queueing.events import Join, new_event_id
from queueing.store.queue import Queue
from spaces.models import Space

CHANNEL = "visitor"


def join(space: Space) -> str:
    """Its id."""
    event_id = new_event_id(CHANNEL)

    async def do() -> None:
        async with Redis.from_url(os.environ["REDIS_URL"]) as redis:
            body = {"data": [1], "fn_index": 0}
            event = Join(event_id=event_id, fn="0", channel=CHANNEL, body=body, request={}, visitor="v")
            await Queue(redis, space.pk).join(event)

    asyncio.run(do())
    return event_id
