"""Visitors who hang up while their call runs, in Spaces whose owner wants such calls ended
(`cancel_on_disconnect`). Only a connection that was seen to end counts: a web process that dies or restarts
takes nobody's call along."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from queueing import leaving
from queueing.queue import Queue
from queueing.scripts import seconds

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = logging.getLogger(__name__)

#: A page that is reloaded, or a stream that is opened anew, is back by then: by this process or by another
#: one, which marks its visitors present as often as `PRESENT_EVERY_S` in such Spaces.
AWAY_S = 3.0
PRESENT_EVERY_S = 1.5
UNDER_WAY_S = 0.25  # a mark of the connection itself may be as late as that


class Departures:
    """Those of one process. `is_here` says whether a session of a Space has another connection to it."""

    def __init__(self, redis: Redis, is_here: Callable[[int, str], bool]) -> None:
        self._redis, self._is_here = redis, is_here
        self._tasks: set[asyncio.Task[None]] = set()

    def left(self, space_id: int, channel: str) -> None:
        """A session's connection has ended; without another one its running calls are ended in a moment."""
        if leaving.begun():
            return
        task = asyncio.create_task(self._look(space_id, channel), name=f"left {channel}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look(self, space_id: int, channel: str) -> None:
        try:
            left_at = seconds(await self._redis.time())
            await asyncio.sleep(AWAY_S)
            queue = Queue(self._redis, space_id)
            seen = await self._redis.zscore(queue.keys.seen, channel)
            elsewhere = (seen or 0.0) > left_at + UNDER_WAY_S
            if leaving.begun() or elsewhere or self._is_here(space_id, channel):
                return
            for raw in await self._redis.smembers(queue.keys.open(channel)):
                joined = (await queue.state(raw.decode(), "joined")).get("joined", "inf")
                # A later one's visitor is about to open a stream for it.
                if float(joined) <= left_at:
                    await self._redis.publish(queue.keys.wake, f"gone {raw.decode()}")
        except (RedisError, OSError) as error:
            logger.info("space %s: who left is looked after by the reaper (%s)", space_id, error)
