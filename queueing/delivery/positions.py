"""The places in line of this process's own waiters: one pipelined read per Space once or twice a second, and
messages only for changes. A completion reaches nobody but its own visitor.

A round costs one pass over the ids in line, and a message for each own waiter whose place changed. A new
waiter gets its place at once, and nobody else does: sending every step to everybody makes queues slow."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from queueing.delivery import presence
from queueing.delivery.status import Status, status_of
from queueing.delivery.waiters import Place, SpaceWaiters, Waiter
from queueing.eta import Eta
from queueing.events import CHANNEL_PART
from queueing.lines import LANES
from queueing.store import snapshot
from queueing.store.keys import SpaceKeys
from queueing.store.options import DEFAULTS
from queueing.store.scripts import seconds

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = logging.getLogger(__name__)

EVERY_S = (0.5, 0.95)  # between rounds for everybody: with few own waiters, and with MANY_WAITERS
MANY_WAITERS = 100
SOON_S = 0.05
SENDING = 0.6  # of a core, at most, for rounds for everybody
SENT_AT_ONCE = 500  # events whose waiters are sent places before other tasks of this loop get a turn
#: First promises noted in one round, to be compared with their outcome (`queueing.stats.eta_accuracy`).
NOTED_AT_ONCE = 16
NOTED_TTL_S = 24 * 3600
NOTED_AT_MOST = 20_000


class Positions:
    """All waiters of one process. `grace_s`: how long they may be disconnected and keep their places."""

    def __init__(self, redis: Redis, grace_s: float = DEFAULTS.disconnect_grace_s) -> None:
        self._redis = redis
        self._present_every_s = grace_s / 4
        self._groups: dict[int, SpaceWaiters] = {}
        self._task: asyncio.Task[None] | None = None
        self._kick = asyncio.Event()
        self._present_at = 0.0
        self._arrived: dict[int, set[str]] = defaultdict(set)  # to be marked present in a moment
        self._departures = presence.DisconnectMonitor(redis, self._is_here)

    @contextlib.asynccontextmanager
    async def waiting(self, waiter: Waiter) -> Any:
        """Send this waiter places while the block lasts, the first ones at once."""
        self.add(waiter)
        try:
            yield
        finally:
            self.drop(waiter)

    def add(self, waiter: Waiter) -> None:
        """Send this waiter places from now on, the first ones at once."""
        self._groups.setdefault(waiter.space_id, SpaceWaiters()).add(waiter)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="positions")
        if waiter.channel and waiter.present:
            self._arrived[waiter.space_id].add(waiter.mark)
        self.soon(waiter.space_id)

    def drop(self, waiter: Waiter) -> None:
        """Send it nothing more."""
        if (group := self._groups.get(waiter.space_id)) is not None:
            group.drop(waiter)
            if not group.everyone:
                del self._groups[waiter.space_id]
            if waiter.channel and waiter.present and not waiter.done and not group.has(waiter.channel):
                self._arrived[waiter.space_id].discard(waiter.mark)
                self._departures.left(waiter.space_id, waiter.channel, at_once=group.ends_calls)

    def _is_here(self, space_id: int, channel: str) -> bool:
        group = self._groups.get(space_id)
        return group is not None and group.has(channel)

    def soon(self, space_id: int) -> None:
        """An event joined this Space's queue: refresh in a moment, not at the next round."""
        if (group := self._groups.get(space_id)) is not None:
            group.soon = True
            self._kick.set()

    async def _run(self) -> None:
        while self._groups:
            due_at = min(group.due_at() for group in self._groups.values())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(due_at - time.monotonic(), 0)):
                    await self._kick.wait()
                    await asyncio.sleep(SOON_S)
            self._kick.clear()
            await self._mark_arrived()
            now = time.monotonic()
            for space_id, group in tuple(self._groups.items()):
                if group.due_at() <= now:
                    await self._round(space_id, group)
            if time.monotonic() - self._present_at > self._present_every_s:
                self._present_at = time.monotonic()
                await self._all_present()

    async def _round(self, space_id: int, group: SpaceWaiters) -> None:
        started = time.monotonic()
        everybody = group.round_at <= started
        group.soon = False
        used = time.thread_time()
        try:
            await self.refresh(space_id, everybody=everybody)
        except (RedisError, OSError) as error:
            logger.warning("positions of space %s: %s", space_id, error)
        # Including other tasks that ran meanwhile: mostly the writing of these messages.
        used = time.thread_time() - used
        # However many join, refreshing for them takes at most a fifth of the process's time.
        group.again_at = time.monotonic() + max(SOON_S, 4 * used)
        if everybody:
            few, many = EVERY_S
            pause = few + (many - few) * min(len(group.everyone) / MANY_WAITERS, 1)
            # However many wait, nearly half of that time is left to others.
            group.round_at = started + max(pause, used / SENDING)

    async def _mark_arrived(self) -> None:
        """A join marks its visitor present itself; for a returning one, a moment later is soon enough."""
        arrived, self._arrived = self._arrived, defaultdict(set)
        with contextlib.suppress(RedisError, OSError):
            for space_id, channels in arrived.items():
                await self._mark_present(space_id, channels)

    async def _all_present(self) -> None:
        with contextlib.suppress(RedisError, OSError):
            for space_id, group in tuple(self._groups.items()):
                await self._all_of(space_id, group)

    async def _all_of(self, space_id: int, group: SpaceWaiters) -> None:
        await self._mark_present(space_id, [w.mark for w in group.everyone if w.channel and w.present])

    async def _mark_present(self, space_id: int, channels: Iterable[str]) -> None:
        if names := tuple(channels):
            now = seconds(await self._redis.time())
            # A mark that was long on its way does not undo a later one.
            await self._redis.zadd(SpaceKeys(space_id).seen, dict.fromkeys(names, now), gt=True)

    async def _mark_running(self, space_id: int, group: SpaceWaiters, running: Iterable[bytes]) -> None:
        """Mark them present, or another process would take them for gone: see
        `queueing.delivery.presence`."""
        if group.ends_calls:
            await self._all_of(space_id, group)
            return
        prefixes = {event_id[CHANNEL_PART] for event_id in running}
        here = (group.by_prefix[prefix] for prefix in prefixes if prefix in group.by_prefix)
        await self._mark_present(space_id, [w.mark for waiters in here for w in waiters if w.present])

    # --- one round --------------------------------------------------------------------------------------

    async def refresh(self, space_id: int, *, everybody: bool = True) -> None:
        """Read one Space's line and publish changes to its waiters; not `everybody`: only to those of
        events without a place so far."""
        group = self._groups.get(space_id)
        if group is None:
            return
        k = SpaceKeys(space_id)
        visits = group.visits()
        names, answers, now = await self._load(k, group, visits)
        lines = snapshot.parse(answers[: snapshot.answers_to(names)], names, now)
        group.ends_calls = lines.ends_calls
        if time.monotonic() - group.present_at > presence.PRESENT_EVERY_S:
            group.present_at = time.monotonic()
            await self._mark_running(space_id, group, snapshot.running_ids(answers))
        visitors: dict[bytes, set[Waiter]] = {}
        for visit_id, ids in zip(visits, answers[snapshot.answers_to(names) :], strict=True):
            for event_id in ids:
                visitors[event_id] = group.by_visit.get(visit_id, set())
        promised: dict[str, Eta] = {}
        for one in lines.by_name.values():
            await self._send_line(group, one, visitors, promised, everybody=everybody)
        await self._note(k, promised, now)
        if not everybody:
            return
        await self._send_others(k, visitors)
        self._send_status(group, status_of(lines))

    async def _load(
        self, k: SpaceKeys, group: SpaceWaiters, visits: list[str]
    ) -> tuple[list[str], list[Any], float]:
        """All lines that are not empty, and the visits' events: one read, and a second one where a line is
        new."""
        while True:
            names = group.lines
            pipe = self._redis.pipeline(transaction=False)
            snapshot.queue_snapshot_reads(pipe, k, names)
            for visit_id in visits:
                pipe.smembers(k.visit(visit_id))
            pipe.time()
            *answers, server_time = await pipe.execute()
            group.lines = snapshot.names_in(answers)
            if names == group.lines or set(group.lines) <= {*LANES, *names}:
                return names, answers, seconds(server_time)

    async def _send_line(
        self,
        group: SpaceWaiters,
        one: snapshot.Line,
        visitors: dict[bytes, set[Waiter]],
        promised: dict[str, Eta],
        *,
        everybody: bool,
    ) -> None:
        """Send own waiters their places in one line; their events leave `visitors`."""
        by_prefix, nobody = group.by_prefix, frozenset[Waiter]()
        size, ahead = max(len(one.wait), 1), len(one.first)
        sent = 0
        for at, event_id in enumerate([*one.first, *one.wait]):
            mine: Iterable[Waiter] = by_prefix.get(event_id[CHANNEL_PART], nobody)
            if visitors and event_id in visitors:
                mine = {*mine, *visitors.pop(event_id)}
            if not everybody:
                mine = [waiter for waiter in mine if event_id not in waiter.sent]
            if not mine:
                continue
            # Returned events and next steps are ahead of all but in nobody's count: see `keys.next`.
            place = Place(
                event_id.decode(),
                max(at - ahead, 0),
                size,
                one.starts.at(at),
                group=one.group,
                waits_for=one.waits_for,
            )
            for waiter in tuple(mine):
                if _send_if_changed(waiter, event_id, place) and place.eta is not None:
                    promised[place.event_id] = place.eta
            sent += 1
            if sent % SENT_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _note(self, k: SpaceKeys, promised: dict[str, Eta], now: float) -> None:
        """Note some of the first promises of this round, for `claim` to compare."""
        if not promised:
            return
        some = random.sample(sorted(promised), min(NOTED_AT_ONCE, len(promised)))
        values = {e: f"{now:.3f} {promised[e].likely:.3f} {promised[e].at_most:.3f}" for e in some}
        pipe = self._redis.pipeline(transaction=False)
        pipe.hset(k.promises, mapping=values)
        pipe.expire(k.promises, NOTED_TTL_S)
        pipe.hlen(k.promises)
        if (await pipe.execute())[-1] > NOTED_AT_MOST:  # of events that were never claimed
            await self._redis.delete(k.promises)

    async def _send_others(self, k: SpaceKeys, visitors: dict[bytes, set[Waiter]]) -> None:
        """Send what became of a visit's events that have left the line."""
        open_ = [e for e, waiters in visitors.items() if any(_may_change(w, e) for w in waiters)]
        if not open_:
            return
        pipe = self._redis.pipeline(transaction=False)
        for event_id in open_:
            pipe.hget(k.event(event_id.decode()), "state")
        for event_id, state in zip(open_, await pipe.execute(), strict=True):
            if state == b"pending":  # it joined between the two reads
                continue
            place = Place(event_id.decode(), 0, 0, None, (state or b"completed").decode())
            for waiter in tuple(visitors[event_id]):
                _send_if_changed(waiter, event_id, place)

    @staticmethod
    def _send_status(group: SpaceWaiters, status: Status) -> None:
        groups = tuple((one.group, one.pending, one.running, _coarse(one.eta)) for one in status.groups)
        sent = (status.pending, status.running, _coarse(status.eta), groups)
        for waiter in tuple(group.everyone):
            if waiter.on_status is not None and waiter.status != sent:
                waiter.status = sent
                waiter.on_status(status)


def _send_if_changed(waiter: Waiter, event_id: bytes, place: Place) -> bool:
    """Send the place if it changed; True if it is the first one with an estimate."""
    sent = (place.state, place.position, place.size, _coarse(place.eta), place.waits_for)
    before = waiter.sent.get(event_id)
    if before == sent:
        return False
    waiter.sent[event_id] = sent
    waiter.on_place(place)
    return before is None or before[3] < 0


def _may_change(waiter: Waiter, event_id: bytes) -> bool:
    sent = waiter.sent.get(event_id)
    return sent is None or sent[0] in ("pending", "running")


def _coarse(eta: Eta | None) -> int:
    """The likely time as a page shows it, in seconds; -1 where there is none."""
    if eta is None:
        return -1
    if eta.likely < 10:
        return round(eta.likely)
    return round(eta.likely / 5) * 5 if eta.likely < 90 else round(eta.likely / 60) * 60
