"""The queue's transitions: join, claim, finish, cancel, and the lease, each one atomic script.

Every time in it is the Redis server's own (`TIME` inside the scripts), so the clocks of machines do not
matter.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal

from queueing.errors import LeaseLost, Moved, NotStored
from queueing.events import Accepted, Call, Event, Join, input_digest
from queueing.lines import all_lines, line_of
from queueing.messages import cancelled, failed, interrupted
from queueing.store.answers import accepted_of, call_of
from queueing.store.keys import SpaceKeys, replica_of
from queueing.store.options import DEFAULTS, QueueOptions
from queueing.store.scripts import Script, seconds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis.asyncio import Redis

LEASE_MS = 15_000
PENDING_TTL_S = 7 * 24 * 3600
FINAL_TTL_S = 24 * 3600
SIDE_CALLS = 4  # calls at once of each function for page loads, ticks or without a queue
SIDE_LIMIT = 500  # such events waiting in one Space
CLAIMS_AT_ONCE = 32
BATCH_SCAN = 2048  # events behind the first that a batch searches for its function
LEAVE_S = 0.25  # an event is left to a less busy replica this long
WAIT_MS = 200
MAX_LOSSES = 5  # of the worker or node
MAX_DEATHS = 2  # of the container
ANY_NUMBER = 2**31  # of moves, and of what had not begun: they are nobody's fault

TAKEN_UP = "Interrupted for a moment: the worker that ran this went away. Another one takes it up."
LOST = "Interrupted five times because the worker running it went away. Please try again."

_join = Script("join")
_acquire = Script("acquire")
_reap = Script("reap")
_claim = Script("claim")
_emit = Script("emit")
_finish = Script("finish")
_cancel = Script("cancel")
_requeue = Script("requeue")
_release = Script("release")
_publish_refusal = Script("publish_refusal")

Final = Literal["completed", "failed", "cancelled"]
Requeued = Literal["deaths", "losses", "splits", "moves", "backs"]


@dataclass(frozen=True)
class Queue:
    """The queue of one Space. `options` apply to joins."""

    redis: Redis
    space_id: int
    options: QueueOptions = DEFAULTS

    @property
    def keys(self) -> SpaceKeys:
        return SpaceKeys(self.space_id)

    async def join(self, join: Join) -> Accepted:
        """Append an event.

        Raises:
            QueueFull, VisitorLimit, StorageLimit, ApiClosed, Refused, KeyReused, PoisonInput, NotStored:
                nothing is kept.
        """
        k = self.keys
        digest = input_digest(join.fn, join.body.get("data"))
        answer, stored = await self._stored(
            _join,
            cfg=k.cfg,
            seq=k.seq,
            lines=k.lines,
            fence=k.fence,
            idem=k.idempotency(join.visitor, join.idempotency_key),
            event=k.event(join.event_id),
            open=k.open(join.channel),
            visit=k.visit(join.visit),
            last=k.last(join.channel),
            seen=k.seen,
            minutes=k.minutes,
            prefix=k.prefix,
            cursor=k.cursor(join.channel),
            **k.byte_keys,
            **join.stored(),
            side_limit=SIDE_LIMIT,
            ttl=PENDING_TTL_S,
            wake=k.wake,
            deaths=k.deaths(digest),
            input=digest,
            max_deaths=MAX_DEATHS,
            max_bytes=self.options.space_bytes,
            final_ttl=FINAL_TTL_S,
            quiet_s=self.options.disconnect_grace_s,
        )
        if not stored and answer[0] in (b"accepted", b"duplicate"):
            if answer[0] == b"accepted":
                await self._withdraw(join)
            raise NotStored
        return accepted_of(answer, join.event_id)

    async def _withdraw(self, join: Join) -> None:
        """The caller may not get its id; one already claimed is found again by its key."""
        if await self.cancel(join.event_id, join.channel, leaves=False) == "cancelled":
            await self.redis.delete(self.keys.idempotency(join.visitor, join.idempotency_key))

    async def _stored(self, script: Script, **values: Any) -> tuple[Any, bool]:
        """Run the script; also whether its writes are as safe as an acknowledgement requires."""
        if not (replicas := self.options.redis_replicas):
            return await script(self.redis, **values), True
        return await script.then_wait(self.redis, replicas, WAIT_MS, **values)

    async def acquire(self, holder: str) -> bool:
        """Take or renew the lease of the holder's replica; events of a dead holder go back to the front.
        False: another has it."""
        # Only a script that the server knows is done in its turn, and a claim sent right behind an end has to
        # find the slot that this end frees. First: a lease that was taken must be served.
        await _finish.load(self.redis)
        k = self.keys
        answer = await _acquire(
            self.redis,
            cfg=k.cfg,
            storage=k.storage,
            holder=holder,
            replica=replica_of(holder),
            ttl_ms=LEASE_MS,
            **self._taken_back(),
        )
        return bool(answer[0] == b"held")

    async def reap(self) -> int:
        """Return to the front what ran on replicas that serve no more and have no dispatcher; how many
        events."""
        number: int = await _reap(self.redis, cfg=self.keys.cfg, **self._taken_back())
        return number

    def _taken_back(self) -> dict[str, Any]:
        """What the scripts need that return events to the front."""
        k = self.keys
        return {
            "fence": k.fence,
            "running": k.running,
            **k.byte_keys,
            "lines": k.lines,
            "minutes": k.minutes,
            "prefix": k.prefix,
            "max_losses": MAX_LOSSES,
            "final_ttl": FINAL_TTL_S,
            "failure": failed("EVENT_ID", LOST),
            "notice": interrupted("EVENT_ID", TAKEN_UP),
        }

    async def claim(
        self, holder: str, ahead: int = 0, short: Iterable[str] = (), long: Iterable[str] = ()
    ) -> tuple[list[Call], dict[str, int]]:
        """The calls that may start now, and how many events stay pending in each line where some do.

        Args:
            ahead: extra calls to prefetch in each line, at most its limit.
            short: functions eligible for prefetch.
            long: lines without prefetch.

        Raises:
            LeaseLost: this holder may claim no more.
            Moved: visitors are sent to other replicas now.
        """
        k = self.keys
        answer = await _claim(
            self.redis,
            *(line.encode() for line in long),
            cfg=k.cfg,
            fence=k.fence,
            running=k.running,
            lines=k.lines,
            limits=k.limits,
            promises=k.promises,
            honesty=k.honesty(day()),
            minutes=k.minutes,
            holder=holder,
            replica=replica_of(holder),
            prefix=k.prefix,
            side_calls=SIDE_CALLS,
            most=CLAIMS_AT_ONCE,
            scan=BATCH_SCAN,
            ahead=ahead,
            short=f" {' '.join(short)} ",
            leave_s=LEAVE_S,
        )
        if answer[0] == b"lost":
            raise LeaseLost
        if answer[0] == b"moved":
            raise Moved
        left = answer[1]
        pending = {line.decode(): count for line, count in zip(left[::2], left[1::2], strict=True)}
        return [call_of(raw, replica_of(holder)) for raw in answer[2:]], pending

    async def emit(self, event: Event, token: int, *payloads: bytes, published: int = 0) -> bool:
        """Publish messages of the event before its end; `published` counts them and those before. False: the
        token is stale."""
        k = self.keys
        answer = await _emit(
            self.redis,
            *payloads,
            event=k.event(event.id),
            messages=k.messages(event.channel),
            **k.byte_keys,
            token=token,
            published=published,
            id=event.id,
            ttl=FINAL_TTL_S,
        )
        return bool(answer[0] == b"sent")

    async def finish(
        self,
        event: Event,
        call: Call,
        status: Final,
        payload: bytes,
        *before: bytes,
        free: bool,
        took_s: float | None,
    ) -> bool:
        """End the event with its one final message; messages `before` it go along in the same step. False:
        the token is stale and nothing was changed.

        Args:
            free: whether nothing of its call still runs, so its slot is free.
            took_s: how long its function ran; 0: as long as its slot was taken; None: not to be measured.
        """
        k = self.keys
        answer = await _finish(
            self.redis,
            *before,
            event=k.event(event.id),
            messages=k.messages(event.channel),
            **k.byte_keys,
            open=k.open(event.channel),
            running=k.running,
            calls=k.calls(call.line),
            last=k.last(event.channel),
            service=k.service,
            minutes=k.minutes,
            day=k.day(day()),
            token=call.token,
            slot=call.slot,
            id=event.id,
            status=status,
            payload=payload,
            free=int(free),
            fn=event.fn,
            took="" if took_s is None or event.id != call.events[0].id else f"{took_s:.6g}",
            ttl=FINAL_TTL_S,
        )
        if event.deaths and status == "completed":
            # It was not this input that killed the container before.
            await self.redis.delete(k.deaths(input_digest(event.fn, event.body.get("data"))))
        return bool(answer[0] == b"finished")

    async def occupy_slot(self, call_id: str, replica: int) -> str:
        """Take a slot for a call that still runs in this replica though its event has ended; returns its
        line, or "" without a slot: its event will be claimed again, or is unknown."""
        about = await self.state(call_id, "state", "lane", "group")
        if about.get("state") in (None, "pending", "running"):
            return ""
        line = line_of(about.get("lane", ""), about.get("group", ""))
        now = seconds(await self.redis.time())
        pipe = self.redis.pipeline()
        pipe.zadd(self.keys.calls(line), {f"{replica}:stray:{call_id}": now})
        pipe.zadd(self.keys.lines, {line: 0}, nx=True)
        await pipe.execute()
        return line

    async def release_slot(self, call_id: str, line: str, replica: int) -> None:
        """Give such a slot back."""
        await self.redis.zrem(self.keys.calls(line), f"{replica}:stray:{call_id}")

    async def free(self, call: Call) -> None:
        """Free the slot of a call that no longer runs."""
        await self.redis.zrem(self.keys.calls(call.line), call.slot)

    async def requeue(self, event: Event, call: Call, kind: Requeued, most: int) -> bool:
        """Back to the front. False: it was there `most` times already, or the token is stale."""
        k = self.keys
        answer = await _requeue(
            self.redis,
            event=k.event(event.id),
            running=k.running,
            lines=k.lines,
            fence=k.fence,
            minutes=k.minutes,
            prefix=k.prefix,
            input_deaths=k.deaths(input_digest(event.fn, event.body.get("data"))),
            token=call.token,
            id=event.id,
            kind=kind,
            most=most,
        )
        return bool(answer[0] == b"requeued")

    async def cancel(
        self, event_id: str, channel: str, *, leaves: bool = True
    ) -> Literal["cancelled", "running", "unknown"]:
        """End a pending event of this channel, or have its dispatcher end the running one. `leaves`: because
        its visitor does not wait any longer."""
        k = self.keys
        answer = await _cancel(
            self.redis,
            event=k.event(event_id),
            messages=k.messages(channel),
            **k.byte_keys,
            open=k.open(channel),
            day=k.day(day()),
            promises=k.promises,
            lines=k.lines,
            fence=k.fence,
            minutes=k.minutes,
            prefix=k.prefix,
            id=event_id,
            channel=channel,
            payload=cancelled(event_id),
            ttl=FINAL_TTL_S,
            wake=k.wake,
            leaves=int(leaves),
        )
        word: Literal["cancelled", "running", "unknown"] = answer[0].decode()
        return word

    async def publish_refusal(self, event_id: str, channel: str, payload: bytes) -> None:
        """Publish to the channel the end of an event that was never accepted."""
        k = self.keys
        await _publish_refusal(
            self.redis,
            messages=k.messages(channel),
            **k.byte_keys,
            id=event_id,
            payload=payload,
            ttl=FINAL_TTL_S,
        )

    async def release(self, holder: str, *, force: bool = False, leave: bool = False) -> bool:
        """Release the lease; `force`: even though there is work; `leave`: with running calls too, which the
        next holder takes over. False: there is work again, continue (or the lease is lost)."""
        k = self.keys
        answer = await _release(
            self.redis,
            lease=k.lease(replica_of(holder)),
            running=k.running,
            lines=k.lines,
            fence=k.fence,
            holder=holder,
            replica=replica_of(holder),
            force=int(force or leave),
            leave=int(leave),
            prefix=k.prefix,
        )
        return bool(answer[0] != b"pending")

    async def pending_ids(self) -> list[str]:
        """Ids of all pending events, all lines, in the order they would be served within each line."""
        k = self.keys
        lines = all_lines(await self.redis.zrange(k.lines, 0, -1))
        pipe = self.redis.pipeline(transaction=False)
        for line in lines:
            pipe.zrange(k.next(line), 0, -1)
            pipe.zrange(k.wait(line), 0, -1)
        return [i.decode() for part in await pipe.execute() for i in part]

    async def state(self, event_id: str, *fields: str) -> dict[str, str]:
        """Some fields of an event as text; empty when it is unknown."""
        values = await self.redis.hmget(self.keys.event(event_id), fields)
        return {f: v.decode() for f, v in zip(fields, values, strict=True) if v is not None}


def day(back: int = 0) -> str:
    """The UTC day, or an earlier one, as keys have it: it names counters, and times nothing."""
    return f"{date(*time.gmtime()[:3]) - timedelta(days=back):%Y%m%d}"
