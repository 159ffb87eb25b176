"""Visitors who hang up while their call runs. Nobody waits behind somebody who has gone: where others wait,
a call that can be ended is, once its visitor has stayed away for a while. In Spaces whose owner wants that
(`cancel_on_disconnect`) it is ended sooner, and whoever waits.

Only a connection that was seen to end counts: a web process that dies or restarts takes nobody's call
along."""

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
#: Who waits behind somebody who has gone is served within ten seconds.
GONE_S = 8.0
LOOK_EVERY_S = 1.0  # somebody may come and wait at any time
SELDOM_S = 4.0  # while it has not even begun


def with_ticket(channel: str) -> str:
    """The name by which one is marked present whose event stays in line whether or not anybody listens."""
    return f"ticket:{channel}"


class DisconnectMonitor:
    """Those of one process. `is_here` says whether a session of a Space has another connection to it."""

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
        queue, ask = Queue(self._redis, space_id), auto_pipeline(self._redis).execute
        try:
            left_at = seconds(await ask("TIME"))
            await asyncio.sleep(RELOAD_GRACE_S if at_once else GONE_S)
            while (states := await self._left_behind(queue, channel, left_at)) and not shutdown.begun():
                running = [event_id for event_id, state in states.items() if state == "running"]
                for event_id in running:
                    await ask("PUBLISH", queue.keys.wake, f"{'gone' if at_once else 'away'} {event_id}")
                if at_once:
                    return
                await asyncio.sleep(LOOK_EVERY_S if running else SELDOM_S)
        except (RedisError, OSError) as error:
            logger.info("space %s: who left is looked after by the reaper (%s)", space_id, error)

    async def _left_behind(self, queue: Queue, channel: str, left_at: float) -> dict[str, str]:
        """What is open of a session that has stayed away: the events' states. Of a later event the visitor is
        about to hear."""
        ask, k = auto_pipeline(self._redis).execute, queue.keys
        marks, events = await asyncio.gather(
            ask("ZMSCORE", k.seen, channel, with_ticket(channel)), ask("SMEMBERS", k.open(channel))
        )
        seen = max(float(mark or 0) for mark in marks)
        if seen > left_at + UNDER_WAY_S or self._is_here(queue.space_id, channel):
            return {}
        found = {}
        for event_id in (raw.decode() for raw in events):
            joined, state = await ask("HMGET", k.event(event_id), "joined", "state")
            if joined is not None and float(joined) <= left_at:
                found[event_id] = (state or b"").decode()
        return found
