"""The places in line of this process's own waiters: one pipelined read per Space a few times a second,
and only what changed is told. Completions reach nobody but their own visitor."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from queueing.eta import Eta, estimate
from queueing.events import prefix_of, prefix_of_id
from queueing.keys import LANES, SpaceKeys
from queueing.queue import SIDE_CALLS
from queueing.scripts import seconds

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = logging.getLogger(__name__)

EVERY_S = 0.5
SOON_S = 0.02
PRESENT_EVERY_S = 15.0


@dataclass(frozen=True, slots=True)
class Place:
    """One event's place: while pending, `position` from 0 within its lane, of `size`."""

    event_id: str
    position: int
    size: int
    eta: Eta | None
    state: str = "pending"


@dataclass(frozen=True, slots=True)
class Status:
    """One Space's main lane now."""

    pending: int
    running: int
    eta: Eta | None


@dataclass(eq=False)
class Waiter:
    """Somebody who is told places. `channel` "" hears only the status."""

    space_id: int
    channel: str
    on_place: Callable[[Place], None]
    on_status: Callable[[Status], None] | None = None
    visit: str = ""
    present: bool = True


class Positions:
    """All waiters of one process."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiters: dict[int, set[Waiter]] = defaultdict(set)
        self._told: dict[tuple[Waiter, str], tuple[str, int, int, int]] = {}
        self._status: dict[Waiter, tuple[int, int, int]] = {}
        self._soon: set[int] = set()
        self._task: asyncio.Task[None] | None = None
        self._kick = asyncio.Event()
        self._present_at = 0.0

    @contextlib.asynccontextmanager
    async def waiting(self, waiter: Waiter) -> Any:
        """Tell this waiter places while the block lasts, the first ones at once."""
        self._waiters[waiter.space_id].add(waiter)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="positions")
        if waiter.channel and waiter.present:
            await self._mark_present(waiter.space_id, [waiter.channel])
        self.soon(waiter.space_id)
        try:
            yield
        finally:
            self._drop(waiter)

    def soon(self, space_id: int) -> None:
        """Somebody joined this Space's queue: look in a moment, not at the next round."""
        if space_id in self._waiters:
            self._soon.add(space_id)
            self._kick.set()

    def _drop(self, waiter: Waiter) -> None:
        waiters = self._waiters.get(waiter.space_id)
        if waiters is not None:
            waiters.discard(waiter)
            if not waiters:
                del self._waiters[waiter.space_id]
        self._status.pop(waiter, None)
        for key in [key for key in self._told if key[0] is waiter]:
            del self._told[key]

    async def _run(self) -> None:
        while self._waiters:
            started = time.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await self._kick.wait()
                    await asyncio.sleep(SOON_S)
            self._kick.clear()
            only = self._soon if time.monotonic() - started < EVERY_S else set(self._waiters)
            self._soon = set()
            for space_id in tuple(only):
                try:
                    await self._refresh(space_id)
                except (RedisError, OSError) as error:
                    logger.warning("positions of space %s: %s", space_id, error)
            if time.monotonic() - self._present_at > PRESENT_EVERY_S:
                self._present_at = time.monotonic()
                await self._all_present()

    async def _all_present(self) -> None:
        with contextlib.suppress(RedisError, OSError):
            for space_id, waiters in tuple(self._waiters.items()):
                await self._mark_present(space_id, (w.channel for w in waiters if w.channel and w.present))

    async def _mark_present(self, space_id: int, channels: Iterable[str]) -> None:
        if names := tuple(channels):
            now = seconds(await self._redis.time())
            await self._redis.zadd(SpaceKeys(space_id).seen, dict.fromkeys(names, now))

    async def _refresh(self, space_id: int) -> None:
        waiters = tuple(self._waiters.get(space_id, ()))
        if not waiters:
            return
        lanes, status, visits = await self._read(space_id, [w.visit for w in waiters if w.visit])
        states = await self._states(space_id, [i for ids in visits.values() for i in ids])
        by_prefix: dict[str, list[Place]] = defaultdict(list)
        by_id: dict[str, Place] = {}
        for places in lanes:
            for place in places:
                by_prefix[prefix_of_id(place.event_id)].append(place)
                by_id[place.event_id] = place
        for waiter in waiters:
            mine = list(by_prefix.get(prefix_of(waiter.channel), ())) if waiter.channel else []
            for event_id in visits.get(waiter.visit, ()):
                mine.append(
                    by_id.get(event_id) or Place(event_id, 0, 0, None, states.get(event_id, "completed"))
                )
            for place in mine:
                self._tell(waiter, place)
            self._tell_status(waiter, status)

    def _tell(self, waiter: Waiter, place: Place) -> None:
        told = (place.state, place.position, place.size, round(place.eta.likely) if place.eta else -1)
        if self._told.get((waiter, place.event_id)) != told:
            self._told[waiter, place.event_id] = told
            waiter.on_place(place)

    def _tell_status(self, waiter: Waiter, status: Status) -> None:
        if waiter.on_status is None:
            return
        told = (status.pending, status.running, round(status.eta.likely) if status.eta else -1)
        if self._status.get(waiter) != told:
            self._status[waiter] = told
            waiter.on_status(status)

    async def _states(self, space_id: int, event_ids: list[str]) -> dict[str, str]:
        """What the events of visits came to; they have left the line, or are about to."""
        if not event_ids:
            return {}
        k = SpaceKeys(space_id)
        pipe = self._redis.pipeline(transaction=False)
        for event_id in event_ids:
            pipe.hget(k.event(event_id), "state")
        states = await pipe.execute()
        return {e: s.decode() for e, s in zip(event_ids, states, strict=True) if s is not None}

    async def _read(
        self, space_id: int, visit_ids: list[str]
    ) -> tuple[list[list[Place]], Status, dict[str, list[str]]]:
        k = SpaceKeys(space_id)
        pipe = self._redis.pipeline(transaction=False)
        pipe.hmget(k.cfg, "concurrency_count", "batch", "max_batch_size")
        for lane in LANES:
            pipe.zcard(k.next(lane))
            pipe.zrange(k.next(lane), 0, -1)
            pipe.zrange(k.wait(lane), 0, -1)
            pipe.zrange(k.calls(lane), 0, -1, withscores=True)
            pipe.lrange(k.durations(lane), 0, -1)
        for visit_id in visit_ids:
            pipe.smembers(k.visit(visit_id))
        pipe.time()
        (concurrency, batch, max_batch), *rest, server_time = await pipe.execute()
        now = seconds(server_time)
        size_of_batch = int(max_batch or 4) if batch == b"1" else 1
        lanes = []
        status = Status(0, 0, None)
        for at, lane in enumerate(LANES):
            returned, first, wait, calls, durations = rest[at * 5 : at * 5 + 5]
            measured = _Measured(
                durations=[float(d) for d in durations],
                running=[now - started for _, started in calls],
                concurrency=int(concurrency or 1) if lane == "main" else SIDE_CALLS,
                batch=size_of_batch if lane == "main" else 1,
                returned=returned,
            )
            # Returned events and next steps are ahead of all but in nobody's count: see `keys.next`.
            lanes.append([Place(i.decode(), 0, max(len(wait), 1), measured.eta(0)) for i in first])
            lanes.append(
                [
                    Place(event_id.decode(), position, len(wait), measured.eta(position))
                    for position, event_id in enumerate(wait)
                ]
            )
            if lane == "main":
                status = Status(len(wait) + len(first), len(calls), measured.eta(len(wait)))
        visits = {
            visit_id: [i.decode() for i in ids]
            for visit_id, ids in zip(visit_ids, rest[len(LANES) * 5 :], strict=True)
        }
        return lanes, status, visits


@dataclass(frozen=True, slots=True)
class _Measured:
    durations: list[float]
    running: list[float]
    concurrency: int
    batch: int
    returned: int

    def eta(self, position: int) -> Eta | None:
        return estimate(
            self.durations,
            ahead=position + self.returned,
            running=self.running,
            concurrency=self.concurrency,
            batch=self.batch,
        )
