"""Random histories of one Space's queue on a real server, beside the model.

Dispatchers stop between any two calls by never being asked again, wake up stale by being asked much later,
and lose their lease when it is deleted; nothing here is a clock. After every step the whole state of the
queue is compared with the model's, and the invariants of DESIGN section 3 are looked at."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import Counter
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from redis.asyncio import Redis

from queueing.errors import ApiClosed, KeyReused, LeaseLost, PoisonInput, QueueError, QueueFull, Refused
from queueing.events import Call, Join, input_digest, new_event_id
from queueing.lines import SIDE, lane_of, line_of
from queueing.messages import cancelled, completed, failed
from queueing.store.queue import ANY_NUMBER, Final, Queue
from queueing.store.scripts import Script
from tests.invariants.model import FINAL, GROUPS, LINES, MAX_DEATHS, Model, Settings

_spaces = itertools.count(1_000_000)
_renew = Script("renew")

DISPATCHERS = ("one", "two", "three")
#: Who acts: mostly the one that may ("").
WHO = st.sampled_from(["", "", "", *DISPATCHERS])
CHANNELS = ("a", "b", "c")
FUNCTIONS = ("0", "1", "2")

WORDS = {
    QueueFull: "full", ApiClosed: "closed", Refused: "refused", KeyReused: "reused", PoisonInput: "poison",
}  # fmt: skip


class QueueMachine(RuleBasedStateMachine):
    """One Space."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.redis: Redis = Redis.from_url(os.environ["REDIS_URL"])
        self.queue = Queue(self.redis, next(_spaces))
        self.model = Model()
        #: Every call that a dispatcher was ever given: it may use it long after it lost it.
        self.given: list[tuple[str, Call]] = []
        self.ranks: dict[str, int] = {}

    def wait(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    # --- rules --------------------------------------------------------------------------------------

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
        self.acquire("one")
        self.claim("one")

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
                        idempotency_key=key,
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
            assert accepted.wake == (self.model.holder is None)

    @rule(channels=st.lists(st.sampled_from(CHANNELS), min_size=2, max_size=4))
    def some_arrive(self, channels: list[str]) -> None:
        for at, channel in enumerate(channels):
            group = GROUPS[at % len(GROUPS)]
            self.join(
                lane="main", group=group, origin="page", channel=channel, fn="0", after="", key="", data=0
            )

    @rule(who=WHO)
    def acquire(self, who: str) -> None:
        who = self._who(who)
        assert self.wait(self.queue.acquire(who)) == self.model.acquire(who)

    @rule(who=WHO)
    def renew(self, who: str) -> None:
        who = self._who(who)
        k = self.queue.keys
        answer = self.wait(
            _renew(self.redis, lease=k.lease, storage=k.storage, fence=k.fence, holder=who, ttl_ms=15_000)
        )
        assert (answer[0] == b"held") == (self.model.holder == who)

    @precondition(lambda self: self.model.holder is not None)
    @rule()
    def the_lease_expires(self) -> None:
        """The holder froze, or its process was killed."""
        self.wait(self.redis.delete(self.queue.keys.lease))
        self.model.holder = None

    @rule(
        who=WHO,
        ahead=st.sampled_from([0, 0, 1, 8]),
        short=st.sampled_from(["", "01", "012", "012"]),
        long=st.sampled_from([(), (), ("main",), ("main:g", "main:h")]),
    )
    def claim(self, who: str, ahead: int = 0, short: str = "", long: tuple[str, ...] = ()) -> None:
        who = self._who(who)
        before = {line: len(tokens) for line, tokens in self.model.calls.items()}
        try:
            calls, pending = self.wait(self.queue.claim(who, ahead, short, long))
        except LeaseLost:
            assert self.model.holder != who
            return
        assert self.model.holder == who, "claimed without the lease"
        expected = self.model.claim([c.token for c in calls], ahead, short, long)
        assert [(c.line, c.token, tuple(e.id for e in c.events)) for c in calls] == [
            (c.line, c.token, c.ids) for c in expected
        ]
        long += tuple(c.line for c in calls if c.lane != SIDE and c.events[0].fn not in short)
        assert self.model.starts(ahead, short, long) == [], "a free place was left empty"
        waiting = Counter(e.line for e in self.model.events.values() if e.state == "pending")
        assert pending == waiting
        self._limits_hold(before, ahead)
        self._app_is_told(calls)
        self.given += [(who, call) for call in calls]

    def _limits_hold(self, before: dict[str, int], ahead: int) -> None:
        """Of each group and of all, with those that wait in the app: none may be there beyond them that was
        not there before a number was lowered."""
        s, now = self.model.settings, {line: len(tokens) for line, tokens in self.model.calls.items()}
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
        self.model.calls[call.line].discard(call.token)

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
        self.model.calls[call.line].discard(call.token)

    @precondition(lambda self: self.model.events)
    @rule(data=st.data(), mine=st.sampled_from([True, True, True, False]))
    def cancel(self, data: st.DataObject, mine: bool) -> None:
        event = data.draw(st.sampled_from(sorted(self.model.events.values(), key=lambda e: e.seq)))
        channel = event.channel if mine else "somebody else"
        assert self.wait(self.queue.cancel(event.id, channel)) == self.model.cancel(event.id, channel)

    @rule(who=WHO, force=st.booleans(), leave=st.booleans())
    def release(self, who: str, force: bool, leave: bool) -> None:
        who = self._who(who)
        released = self.wait(self.queue.release(who, force=force, leave=leave))
        assert released == self.model.release(who, force=force, leave=leave)

    def _who(self, name: str) -> str:
        return name or self.model.holder or "one"

    def _some_call(self, data: st.DataObject) -> tuple[str, Call]:
        """Mostly a late one; now and then one that was lost long ago."""
        at = data.draw(st.integers(0, min(len(self.given), 8) - 1))
        return self.given[-1 - at]

    # --- what is always true --------------------------------------------------------------------------

    @invariant()
    def the_queue_is_as_the_model(self) -> None:
        self.wait(self._compare())

    async def _compare(self) -> None:
        k, model = self.queue.keys, self.model
        pipe = self.redis.pipeline(transaction=False)
        for line in LINES:
            pipe.zrange(k.wait(line), 0, -1)
            pipe.zrange(k.next(line), 0, -1)
            pipe.zrange(k.calls(line), 0, -1)
        pipe.zrange(k.running, 0, -1)
        for channel in CHANNELS:
            pipe.smembers(k.open(channel))
            pipe.xrange(k.messages(channel))
        events = tuple(model.events.values())
        for event in events:
            pipe.hmget(k.event(event.id), "state", "token")
        answers = iter(await pipe.execute())

        for line in LINES:
            waiting = [i.decode() for i in next(answers)]
            assert waiting == [e.id for e in model.pending(line, front=False)], f"{line}: order of joining"
            front = [i.decode() for i in next(answers)]
            assert front == [e.id for e in model.pending(line, front=True)], f"{line}: returned ones"
            assert {int(t) for t in next(answers)} == model.calls[line]
            for rank, event_id in enumerate(waiting):
                assert rank <= self.ranks.get(event_id, rank), "a waiting visitor's position got worse"
                self.ranks[event_id] = rank
        assert {i.decode() for i in next(answers)} == model.running()
        ends: dict[str, int] = {}
        for channel in CHANNELS:
            assert {i.decode() for i in next(answers)} == model.open(channel)
            for _, fields in next(answers):
                if fields[b"f"] == b"1":
                    ends[fields[b"e"].decode()] = ends.get(fields[b"e"].decode(), 0) + 1
        assert ends == {e.id: 1 for e in events if e.state in FINAL}, "exactly one final message each"
        for event in events:
            state, token = next(answers)
            assert state.decode() == event.state
            if event.state == "running":
                assert int(token) == event.token

    # --- the end ----------------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            self.wait(self._drain())
        finally:
            self.wait(self._clean())
            self.loop.close()

    async def _drain(self) -> None:
        """One well dispatcher comes: then everything accepted has ended once, and the tables are empty."""
        await self.redis.delete(self.queue.keys.lease)
        assert await self.queue.acquire("the last")
        while (calls := (await self.queue.claim("the last"))[0]) or await self.queue.pending_ids():
            assert calls, "something waits, nothing runs, and nothing starts"
            for call in calls:
                for event in call.events:
                    await self.queue.finish(
                        event, call, "completed", completed(event.id, {}), free=True, took_s=0
                    )
        assert await self.queue.release("the last")
        k = self.queue.keys
        ends: list[str] = []
        for channel in CHANNELS:
            entries = await self.redis.xrange(k.messages(channel))
            ends += [fields[b"e"].decode() for _, fields in entries if fields[b"f"] == b"1"]
        note(f"accepted {len(self.model.events)}, ended {len(ends)}")
        assert sorted(ends) == sorted(self.model.events), "lost, or ended twice"
        tables = [k.running, k.lease, k.lines, *(k.open(c) for c in CHANNELS)]
        tables += [key(line) for line in LINES for key in (k.wait, k.next, k.calls)]
        assert await self.redis.exists(*tables) == 0, "internal tables are empty"

    async def _clean(self) -> None:
        if found := [key async for key in self.redis.scan_iter(f"{self.queue.keys.prefix}*", count=1000)]:
            await self.redis.delete(*found)
        await self.redis.aclose()
