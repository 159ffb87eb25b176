"""Ends running calls whose visitor disconnected. While others wait, a call that can be ended is ended once
its visitor has been away for a while. With `cancel_on_disconnect` it is ended sooner, and also if nobody
waits.

Only an observed disconnect counts: when a web process dies or restarts, its visitors' calls continue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from infra import shutdown
from queueing.store.pipelining import auto_pipeline
from queueing.store.queue import Queue
from queueing.store.scripts import seconds

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = logging.getLogger(__name__)

#: A page that is reloaded, or a stream that is opened anew, is back by then: by this process or by another
#: one, which marks its visitors present as often as `PRESENT_EVERY_S`: all in Spaces that end calls soon,
#: elsewhere those whose call runs.
RELOAD_GRACE_S = 3.0
PRESENT_EVERY_S = 1.5
UNDER_WAY_S = 0.25  # a mark of the connection itself may be as late as that
#: An event behind the call of an absent visitor starts within ten seconds.
GONE_S = 8.0
CHECK_EVERY_S = 1.0  # somebody may come and wait at any time
SELDOM_S = 4.0  # while the call has not begun


def with_ticket(channel: str) -> str:
    """The name in the marks of presence of a client whose event stays in line even without a connection."""
    return f"ticket:{channel}"


class DisconnectMonitor:
    """The disconnects that one process observes. `is_here` tells whether a session has another connection to
    it."""

    def __init__(self, redis: Redis, is_here: Callable[[int, str], bool]) -> None:
        self._redis, self._is_here = redis, is_here
        self._tasks: set[asyncio.Task[None]] = set()

    def left(self, space_id: int, channel: str, *, at_once: bool) -> None:
        """A session's connection has ended. Without another one its running calls are ended in a moment
        (`at_once`), or as soon as others wait for them."""
        if shutdown.begun():
            return
        task = asyncio.create_task(self._check(space_id, channel, at_once=at_once), name=f"left {channel}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _check(self, space_id: int, channel: str, *, at_once: bool) -> None:
        queue, execute = Queue(self._redis, space_id), auto_pipeline(self._redis).execute
        try:
            left_at = seconds(await execute("TIME"))
            await asyncio.sleep(RELOAD_GRACE_S if at_once else GONE_S)
            while (states := await self._left_behind(queue, channel, left_at)) and not shutdown.begun():
                running = [event_id for event_id, state in states.items() if state == "running"]
                for event_id in running:
                    await execute("PUBLISH", queue.keys.wake, f"{'gone' if at_once else 'away'} {event_id}")
                if at_once:
                    return
                await asyncio.sleep(CHECK_EVERY_S if running else SELDOM_S)
        except (RedisError, OSError) as error:
            logger.info("space %s: the reaper will end the calls of those who left (%s)", space_id, error)

    async def _left_behind(self, queue: Queue, channel: str, left_at: float) -> dict[str, str]:
        """What is open of a session that has stayed away: the events' states. Of a later event the visitor is
        about to hear."""
        execute, k = auto_pipeline(self._redis).execute, queue.keys
        marks, events = await asyncio.gather(
            execute("ZMSCORE", k.seen, channel, with_ticket(channel)), execute("SMEMBERS", k.open(channel))
        )
        seen = max(float(mark or 0) for mark in marks)
        if seen > left_at + UNDER_WAY_S or self._is_here(queue.space_id, channel):
            return {}
        found = {}
        for event_id in (raw.decode() for raw in events):
            joined, state = await execute("HMGET", k.event(event_id), "joined", "state")
            if joined is not None and float(joined) <= left_at:
                found[event_id] = (state or b"").decode()
        return found
