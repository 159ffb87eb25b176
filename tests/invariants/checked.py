"""What random histories of the queue (`machine`) compare with the model after every step, and at the end."""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import Any

from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine, invariant
from redis.asyncio import Redis

from queueing.events import Call
from queueing.messages import completed
from queueing.store.keys import holder_of
from queueing.store.queue import Queue
from tests.invariants.model import FINAL, LINES, Model

_spaces = itertools.count(1_000_000)
CHANNELS = ("a", "b", "c")


class CheckedMachine(RuleBasedStateMachine):
    """One Space, on a real server and in the model."""

    REPLICAS: tuple[str, ...] = ("",)

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.redis: Redis = Redis.from_url(os.environ["REDIS_URL"])
        self.queue = Queue(self.redis, next(_spaces))
        self.model = Model(serving=self.REPLICAS)
        #: Every call that a dispatcher was ever given: it may use it long after it lost it.
        self.given: list[tuple[str, Call]] = []
        self.ranks: dict[str, int] = {}

    def wait(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

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
            slots = {slot.decode() for slot in next(answers)}
            assert slots == {f"{replica}:{token}" for token, replica in model.calls[line].items()}
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
        k = self.queue.keys
        await self.redis.delete(*(k.lease(replica) for replica in self.REPLICAS))
        last = "the last"
        if self.REPLICAS != ("",):
            # The other is gone, and with it whoever was at home there.
            last = holder_of(int(self.REPLICAS[-1]), "the last")
            await self.redis.hset(k.cfg, "replicas", self.REPLICAS[-1])
        assert await self.queue.acquire(last)
        while (calls := (await self.queue.claim(last))[0]) or await self.queue.pending_ids():
            assert calls, "something waits, nothing runs, and nothing starts"
            for call in calls:
                for event in call.events:
                    await self.queue.finish(
                        event, call, "completed", completed(event.id, {}), free=True, took_s=0
                    )
        assert await self.queue.release(last)
        ends: list[str] = []
        for channel in CHANNELS:
            entries = await self.redis.xrange(k.messages(channel))
            ends += [fields[b"e"].decode() for _, fields in entries if fields[b"f"] == b"1"]
        note(f"accepted {len(self.model.events)}, ended {len(ends)}")
        assert sorted(ends) == sorted(self.model.events), "lost, or ended twice"
        tables = [
            k.running,
            *(k.lease(replica) for replica in self.REPLICAS),
            k.lines,
            *(k.open(c) for c in CHANNELS),
        ]
        tables += [key(line) for line in LINES for key in (k.wait, k.next, k.calls)]
        assert await self.redis.exists(*tables) == 0, "internal tables are empty"

    async def _clean(self) -> None:
        if found := [key async for key in self.redis.scan_iter(f"{self.queue.keys.prefix}*", count=1000)]:
            await self.redis.delete(*found)
        await self.redis.aclose()
