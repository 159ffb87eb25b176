"""Random histories of one Space's queue on a real server, beside the model.

Dispatchers, of one replica or of two, stop between any two calls by never being asked again, wake up stale
by being asked much later, and lose their lease when it is deleted; nothing here is a clock. After every step
the whole state of the queue is compared with the model's, and the invariants of DESIGN section 3 are looked
at (`checked`)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from queueing.errors import (
    ApiClosed,
    KeyReused,
    LeaseLost,
    Moved,
    PoisonInput,
    QueueError,
    QueueFull,
    Refused,
)
from queueing.events import Call, Join, input_digest, new_event_id
from queueing.lines import SIDE, lane_of, line_of
from queueing.messages import cancelled, completed, failed
from queueing.store.keys import holder_of, replica_of
from queueing.store.queue import ANY_NUMBER, Final
from queueing.store.scripts import Script
from tests.invariants.checked import CHANNELS, CheckedMachine
from tests.invariants.model import FINAL, GROUPS, LINES, MAX_DEATHS, Settings

_renew = Script("renew")

DISPATCHERS = ("one", "two", "three")
#: Who acts: mostly the one that may (""); and of which of the replicas.
WHO = st.sampled_from(["", "", "", *DISPATCHERS])
WHERE = st.integers(0, 1)
FUNCTIONS = ("0", "1", "2")

WORDS = {
    QueueFull: "full", ApiClosed: "closed", Refused: "refused", KeyReused: "reused", PoisonInput: "poison",
}  # fmt: skip


class QueueMachine(CheckedMachine):
    """One Space, on one replica."""

    @initialize(
        concurrency=st.none() | st.integers(1, 3),
        max_running=st.none() | st.none() | st.integers(1, 4),
        max_size=st.none() | st.integers(1, 5),
        batch=st.booleans(),
        channels=st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=5),
    )
    def opens(
        self,
        concurrency: int | None,
        max_running: int | None,
        max_size: int | None,
        batch: bool,
        channels: list[str],
    ) -> None:
        """The Space begins to run, and somebody is there already: else too many histories stay empty."""
        self.model.settings = Settings(
            concurrency_count=concurrency, max_running=max_running, max_size=max_size, batch=batch
        )
        self.wait(self._configure())
        self.some_arrive(channels)
        for where in range(len(self.REPLICAS)):
            self.acquire("one", where)
            self.claim("one", where)

    async def _configure(self) -> None:
        s = self.model.settings
        values = {
            name: "" if value is None else str(int(value)) if not isinstance(value, str) else value
            for name, value in vars(s).items()
            if name != "limits"
        }
        limits = {line: "none" if number is None else number for line, number in s.limits.items()}
        pipe = self.redis.pipeline()
        pipe.hset(self.queue.keys.cfg, mapping=values)
        if self.REPLICAS != ("",):
            pipe.hset(self.queue.keys.cfg, "replicas", " ".join(self.model.serving))
        pipe.delete(self.queue.keys.limits)
        if limits:
            pipe.hset(self.queue.keys.limits, mapping=limits)
        await pipe.execute()

    @rule(
        name=st.sampled_from(
            ["concurrency_count", "max_running", "max_size", "batch", "max_batch_size", "api_open", "refuse"]
        ),
        number=st.integers(1, 4),
    )
    def change_a_setting(self, name: str, number: int) -> None:
        """Also while busy: the next join and claim must obey it."""
        value: object = number
        if name in ("max_size", "max_running", "concurrency_count"):
            value = None if number == 4 else number
        elif name in ("batch", "api_open"):
            value = number > 1
        elif name == "refuse":
            value = "paused" if number == 1 else ""
        setattr(self.model.settings, name, value)
        self.wait(self._configure())

    @rule(
        group=st.sampled_from(GROUPS),
        limit=st.sampled_from(["default", None, 1, 2, 3]),
    )
    def change_a_limit(self, group: str, limit: Any) -> None:
        """A group's own number, or the default again."""
        line = line_of("main", group)
        if limit == "default":
            self.model.settings.limits.pop(line, None)
        else:
            self.model.settings.limits[line] = limit
        self.wait(self._configure())

    @rule(
        lane=st.sampled_from(["main", "main", "main", "side"]),
        group=st.sampled_from(GROUPS),
        origin=st.sampled_from(["page", "api"]),
        channel=st.sampled_from(CHANNELS),
        fn=st.sampled_from(FUNCTIONS),
        after=st.sampled_from(["", "", "0", "1"]),
        key=st.sampled_from(["", "", "k1", "k2"]),
        data=st.integers(0, 1),
    )
    def join(
        self, lane: str, group: str, origin: str, channel: str, fn: str, after: str, key: str, data: int
    ) -> None:
        if line_of(lane, group) not in LINES:
            group = ""
        event_id = new_event_id(channel)
        batch = 3 if fn == "2" else 0
        try:
            accepted = self.wait(
                self.queue.join(
                    Join(
                        event_id=event_id, fn=fn, channel=channel, body={"data": [data]}, request={},
                        origin=origin, lane=lane, group=group, batch=batch, after=after, visitor=channel,
                        idempotency_key=key, session=channel,
                    )
                )
            )  # fmt: skip
            word = "duplicate" if accepted.replayed else "accepted"
            got = (word, accepted.event_id, accepted.position)
        except QueueError as refusal:
            got = (WORDS[type(refusal)], "", -1)
        expected = self.model.join(
            event_id=event_id, line=line_of(lane, group), origin=origin, channel=channel, fn=fn, batch=batch,
            after=after, key=key, digest=input_digest(fn, [data]),
        )  # fmt: skip
        assert got[:2] == expected[:2], (got, expected)
        if got[0] == "accepted":
            assert got[2] == expected[2]
            assert accepted.wake == (not self.model.served)

    @rule(channels=st.lists(st.sampled_from(CHANNELS), min_size=2, max_size=4))
    def some_arrive(self, channels: list[str]) -> None:
        for at, channel in enumerate(channels):
            group = GROUPS[at % len(GROUPS)]
            self.join(
                lane="main", group=group, origin="page", channel=channel, fn="0", after="", key="", data=0
            )

    @rule(who=WHO, where=WHERE)
    def acquire(self, who: str, where: int) -> None:
        who = self._who(who, where)
        assert self.wait(self.queue.acquire(who)) == self.model.acquire(who)

    @rule(who=WHO, where=WHERE)
    def renew(self, who: str, where: int) -> None:
        who = self._who(who, where)
        k = self.queue.keys
        lease = k.lease(replica_of(who))
        answer = self.wait(
            _renew(self.redis, lease=lease, storage=k.storage, fence=k.fence, holder=who, ttl_ms=15_000)
        )
        assert (answer[0] == b"held") == self._holds(who)

    @precondition(lambda self: self.model.holders)
    @rule(where=WHERE)
    def a_lease_expires(self, where: int) -> None:
        """The holder froze, or its process was killed."""
        replica = sorted(self.model.holders)[where % len(self.model.holders)]
        self.wait(self.redis.delete(self.queue.keys.lease(replica)))
        del self.model.holders[replica]

    @precondition(lambda self: len(self.REPLICAS) > 1)
    @rule(serving=st.sampled_from(["1", "2", "1 2", "1 2", "1 2", ""]))
    def replicas_come_and_go(self, serving: str) -> None:
        """Visitors are sent to others; what runs where none are sent any more ends there."""
        self.model.serving = tuple(serving.split())
        self.wait(self._configure())

    @rule()
    def reap(self) -> None:
        assert self.wait(self.queue.reap()) == self.model.reap()

    @rule(
        who=WHO,
        where=WHERE,
        ahead=st.sampled_from([0, 0, 1, 8]),
        short=st.sampled_from(["", "01", "012", "012"]),
        long=st.sampled_from([(), (), ("main",), ("main:g", "main:h")]),
    )
    def claim(
        self, who: str, where: int, ahead: int = 0, short: str = "", long: tuple[str, ...] = ()
    ) -> None:
        who = self._who(who, where)
        replica = replica_of(who)
        before = {line: len(tokens) for line, tokens in self.model.here(replica).items()}
        try:
            calls, pending = self.wait(self.queue.claim(who, ahead, short, long))
        except LeaseLost:
            assert not self._holds(who)
            return
        except Moved:
            assert replica not in self.model.serving
            return
        assert self._holds(who), "claimed without the lease"
        assert replica in self.model.serving, "claimed for a replica that does not serve"
        expected = self.model.claim(replica, [c.token for c in calls], ahead, short, long)
        assert [(c.line, c.token, tuple(e.id for e in c.events)) for c in calls] == [
            (c.line, c.token, c.ids) for c in expected
        ]
        long += tuple(c.line for c in calls if c.lane != SIDE and c.events[0].fn not in short)
        assert self.model.starts(replica, ahead, short, long) == [], "a free place was left empty"
        waiting = Counter(e.line for e in self.model.events.values() if e.state == "pending")
        assert pending == waiting
        self._limits_hold(replica, before, ahead)
        self._app_is_told(calls)
        self.given += [(who, call) for call in calls]

    def _limits_hold(self, replica: str, before: dict[str, int], ahead: int) -> None:
        """Of each group and of all, with those that wait in the app: none may be there beyond them that was
        not there before a number was lowered."""
        s, now = self.model.settings, {line: len(t) for line, t in self.model.here(replica).items()}
        for line in LINES:
            limit = s.limit(line) + (0 if lane_of(line) == SIDE else min(ahead, s.limit(line)))
            assert now[line] <= max(limit, before[line]), f"{line}: calls at once"
        mains = sum(count for line, count in now.items() if lane_of(line) != SIDE)
        mains_before = sum(count for line, count in before.items() if lane_of(line) != SIDE)
        assert mains <= max(s.cap + min(ahead, s.cap), mains_before), "max_running"
        assert sum(now.values()) <= max(s.threads, sum(before.values())), "max_threads"

    def _app_is_told(self, calls: list[Call]) -> None:
        """What it is to keep: it holds back what was sent ahead."""
        s = self.model.settings
        for call in calls:
            assert call.slots == (0 if call.lane == SIDE else s.limit(call.line))
            assert (call.total, call.each) == (s.max_running or 0, s.concurrency_count or 0)

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def emit(self, data: st.DataObject) -> None:
        _, call = self._some_call(data)
        event = data.draw(st.sampled_from(call.events))
        sent = self.wait(self.queue.emit(event, call.token, b'{"msg":"process_generating"}'))
        assert sent == self.model.is_current(event.id, call.token)

    @precondition(lambda self: self.given)
    @rule(data=st.data(), status=st.sampled_from(FINAL), free=st.booleans())
    def finish(self, data: st.DataObject, status: Final, free: bool) -> None:
        _, call = self._some_call(data)
        event = data.draw(st.sampled_from(call.events))
        payloads = {
            "completed": completed(event.id, {"data": []}),
            "failed": failed(event.id, "no"),
            "cancelled": cancelled(event.id),
        }
        ended = self.wait(self.queue.finish(event, call, status, payloads[status], free=free, took_s=0))
        assert ended == self.model.finish(event.id, call.line, call.token, status, free=free)

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def free(self, data: st.DataObject) -> None:
        _, call = self._some_call(data)
        self.wait(self.queue.free(call))
        self.model.calls[call.line].pop(call.token, None)

    @precondition(lambda self: self.given)
    @rule(data=st.data(), kind=st.sampled_from(["deaths", "splits", "moves", "backs"]))
    def requeue(self, data: st.DataObject, kind: Any) -> None:
        """The container died or was stopped, a batch failed, or it had not begun: all events of the call go
        back."""
        _, call = self._some_call(data)
        most = {"deaths": MAX_DEATHS - 1, "splits": 2}.get(kind, ANY_NUMBER)
        for event in reversed(call.events):
            again = self.wait(self.queue.requeue(event, call, kind, most))
            assert again == self.model.requeue(event.id, call.token, kind, most)
        self.wait(self.queue.free(call))
        self.model.calls[call.line].pop(call.token, None)

    @precondition(lambda self: self.model.events)
    @rule(data=st.data(), mine=st.sampled_from([True, True, True, False]))
    def cancel(self, data: st.DataObject, mine: bool) -> None:
        event = data.draw(st.sampled_from(sorted(self.model.events.values(), key=lambda e: e.seq)))
        channel = event.channel if mine else "somebody else"
        assert self.wait(self.queue.cancel(event.id, channel)) == self.model.cancel(event.id, channel)

    @rule(who=WHO, where=WHERE, force=st.booleans(), leave=st.booleans())
    def release(self, who: str, where: int, force: bool, leave: bool) -> None:
        who = self._who(who, where)
        released = self.wait(self.queue.release(who, force=force, leave=leave))
        assert released == self.model.release(who, force=force, leave=leave)

    def _who(self, name: str, where: int) -> str:
        replica = self.REPLICAS[where % len(self.REPLICAS)]
        if not name and replica in self.model.holders:
            return self.model.holders[replica]
        return holder_of(int(replica), name or "one") if replica else name or "one"

    def _holds(self, who: str) -> bool:
        return self.model.holders.get(replica_of(who)) == who

    def _some_call(self, data: st.DataObject) -> tuple[str, Call]:
        """Mostly a late one; now and then one that was lost long ago."""
        at = data.draw(st.integers(0, min(len(self.given), 8) - 1))
        return self.given[-1 - at]


class TwoReplicas(QueueMachine):
    """One Space on two replicas, each with dispatchers of its own."""

    REPLICAS = ("1", "2")
