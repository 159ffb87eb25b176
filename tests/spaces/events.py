"""An event in a Space's queue, as a visitor's call puts it there."""

from __future__ import annotations

import asyncio
import os

from redis.asyncio import Redis

from queueing.events import new_event_id
from queueing.store.queue import Queue
from spaces.models import Space
from tests.events import a_join

CHANNEL = "visitor"


def join(space: Space) -> str:
    """Its id."""
    event_id = new_event_id(CHANNEL)

    async def do() -> None:
        async with Redis.from_url(os.environ["REDIS_URL"]) as redis:
            event = a_join(CHANNEL, event_id=event_id, origin="api", visitor="v")
            await Queue(redis, space.pk).join(event)

    asyncio.run(do())
    return event_id
