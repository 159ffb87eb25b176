"""The tests see: with one defence taken out of a script or a class, at least one of them must fail.

The defences are removed here, in memory; the product has no switch that weakens it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

import pytest

import queueing.delivery.streams
import queueing.dispatch.worker
import queueing.store.queue
from queueing.delivery.streams import Delivered, MessageStreams
from queueing.dispatch.worker import DispatcherPool
from queueing.errors import QueueFull
from queueing.events import Accepted
from queueing.store.keys import SpaceKeys
from queueing.store.queue import Queue
from queueing.store.scripts import Script
from tests.invariants.machine import TwoReplicas
from tests.invariants.test_random_histories import run_histories
from tests.waiting import eventually

Joins = Callable[..., Awaitable[Accepted]]
Configure = Callable[..., Awaitable[None]]


def without(name: str, defence: str, instead: str = "") -> Script:
    """This script as it is, but for one defence."""
    script = Script(name)
    assert script.source.count(defence) == 1, f"{name}.lua has no such line (any more): {defence}"
    weakened = Script(name)
    weakened.source = script.source.replace(defence, instead)
    weakened.sha = hashlib.sha1(weakened.source.encode(), usedforsecurity=False).hexdigest()
    return weakened


@contextlib.contextmanager
def use(script: Script) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queueing.store.queue, f"_{script.name}", script)
        yield


LIFE_MS = 1500  # of a lease, where a test waits for its end
FENCE = 'if state[1] ~= token or state[2] ~= "running" then return { "stale" } end'
DEFENCES = {
    "the fence of finish": ("finish", FENCE, ""),
    "the fence of emit": ("emit", FENCE, ""),
    "the fence of requeue": ("requeue", FENCE, ""),
    "claiming needs the lease": (
        "claim", 'if redis.call("GET", lease_of(replica)) ~= holder then return { "lost" } end', "",
    ),
    "a living holder keeps the lease": (
        "acquire", 'if owner and owner ~= holder then return { "taken", owner } end', "",
    ),
    "an heir takes back what the dead ran": (
        "acquire", 'redis.call("ZADD", next_of(line), seq, id)', "",
    ),
    "the heir forgets the calls of the dead": (
        "acquire", "forget_calls(is_gone) return lost", "return lost",
    ),
    "max_size is looked at inside join": (
        "join", "if not follows and max_size and all >= max_size then", "if false then",
    ),
    "a key finds its first event": ("join", 'return { "duplicate", first_id }', ""),
    "a key belongs to one input": ("join", "first_input ~= input", "false"),
    "api_open is looked at inside join": ("join", 'api_open == "0"', "false"),
    "release looks for work once more": ("release", 'if force ~= "1" and pending > 0 then', "if false then"),
    "a group's limit bounds a claim": ("claim", "one.calls >= one.limit + one.more or ", ""),
    "max_running bounds it too": ("claim", " or mains >= cap + more_all then", " then"),
    "what is sent ahead is bounded": ("claim", "math.min(ahead, one.limit)", "ahead"),
    "nobody is sent ahead behind a long one": ("claim", "one.main and not long[name]", "one.main"),
    "max_size counts all groups": ("join", 'all = all + redis.call("ZCARD", wait_of(other))', ""),
    "groups take turns": ("claim", 'redis.call("ZADD", lines, token, one.name)', ""),
    "a line with somebody in it is kept": ("join", "keep_line(line)\n", "\n"),
}  # fmt: skip
OF_SEVERAL = {
    "only those that serve claim": ("claim", "if serving and not serving[replica] then", "if false then"),
    "an heir takes back only what ran on its replica": (
        "acquire", "return other == replica or other == \"\" or (serving and", "return (serving or",
    ),
    "limits are of one replica": ("claim", "if other == replica then", "if true then"),
    "a session stays where it is": ("claim", "if home then return home == replica end", ""),
    "a batch takes no sessions of others": (
        "claim", "(not several or (home_of(id) or replica) == replica)", "true",
    ),
    "what may go on goes on where it ran": ("claim", "if serving[ran or \"\"] then return ran end", ""),
    "one replica alone runs suspects": (
        "claim", "if is_suspect(id) then return replica == caretaker end", "",
    ),
    "who leaves takes only its own along": (
        "release", 'local is_mine = (ran or "") == replica', "local is_mine = true",
    ),
    "nothing is left on a replica that is gone": (
        "reap", 'return other ~= "" and not serving[other] and not has_dispatcher(other)', "return false",
    ),
    "what runs under a dispatcher is not taken back": (
        "reap", " and not has_dispatcher(other)", "",
    ),
    "every replica is woken": ("join", "if not has_dispatcher(replica) then served = 0 end", ""),
}  # fmt: skip


@pytest.mark.parametrize("defence", DEFENCES)
def test_random_histories_notice_a_missing_defence(defence: str) -> None:
    name, line, instead = DEFENCES[defence]
    with use(without(name, line, instead)), pytest.raises(BaseException) as caught:  # noqa: PT011
        run_histories(240, explain=False)
    assert not isinstance(caught.value, KeyboardInterrupt)


@pytest.mark.parametrize("defence", OF_SEVERAL)
def test_and_one_that_several_replicas_need(defence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing.store.queue, "LEAVE_S", 0)
    name, line, instead = OF_SEVERAL[defence]
    with use(without(name, line, instead)), pytest.raises(BaseException) as caught:  # noqa: PT011
        run_histories(480, explain=False, machine=TwoReplicas)
    assert not isinstance(caught.value, KeyboardInterrupt)


async def test_looking_first_and_adding_then_is_not_enough(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    """Why the size is compared inside the script: the same comparison before it lets a crowd through."""
    limit = 10

    async def look_then_join() -> None:
        if await queue.redis.zcard(queue.keys.wait("main")) >= limit:
            raise QueueFull(limit, limit)
        await join()

    await asyncio.gather(*(look_then_join() for _ in range(64)), return_exceptions=True)
    outside = await queue.redis.zcard(queue.keys.wait("main"))
    await queue.redis.delete(queue.keys.wait("main"))
    await configure(max_size=limit)
    await asyncio.gather(*(join() for _ in range(64)), return_exceptions=True)
    assert await queue.redis.zcard(queue.keys.wait("main")) == limit < outside


@contextlib.asynccontextmanager
async def following(queue: Queue) -> AsyncIterator[list[int]]:
    """The numbers that a follower of a stream with one message has heard, that one already."""
    streams = MessageStreams(queue.redis)
    heard: list[int] = []

    async def follow() -> None:
        message: Delivered
        async for message in streams.follow(queue.keys, "s"):
            heard.append(message.number)

    await add(queue, announced=False)
    task = asyncio.create_task(follow())
    await eventually(lambda: heard == [1], "it follows")
    yield heard
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await streams.close()


async def add(queue: Queue, *, announced: bool) -> None:
    key = SpaceKeys(queue.space_id).messages("s")
    number = await queue.redis.xadd(key, {"d": b"{}", "e": "e", "f": "0"}, id="0-*")
    await queue.redis.expire(key, 60)
    if announced:
        await queue.redis.publish(key, number + b" 0 1 e {}")


async def hear_all(queue: Queue) -> list[int]:
    """Follow a stream of five messages of which pub/sub carried only the last."""
    async with following(queue) as heard:
        for number in range(2, 6):
            await add(queue, announced=number == 5)
        with contextlib.suppress(AssertionError):
            await eventually(lambda: heard[-1] == 5, "it hears the last one", timeout_s=2)
        return heard


async def test_a_gap_in_the_news_is_read_again(queue: Queue) -> None:
    assert await hear_all(queue) == [1, 2, 3, 4, 5]


async def test_without_reading_again_the_gap_stays(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = MessageStreams._load_messages

    async def only_at_the_beginning(self: MessageStreams, key: str, after: int) -> list[Delivered]:
        return await whole(self, key, after) if after == 0 else []

    monkeypatch.setattr(MessageStreams, "_load_messages", only_at_the_beginning)
    assert await hear_all(queue) != [1, 2, 3, 4, 5]


async def hears_the_last(queue: Queue) -> bool:
    """Whether a message that nobody announced is heard, though none comes that would show the gap."""
    async with following(queue) as heard:
        await add(queue, announced=False)
        with contextlib.suppress(AssertionError):
            await eventually(lambda: heard == [1, 2], "it hears the last one", timeout_s=3)
        return heard == [1, 2]


async def test_a_last_message_that_nobody_announced_is_found(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queueing.delivery.streams, "RESYNC_S", 0.2)
    monkeypatch.setattr(queueing.delivery.streams, "CHECK_EVERY_S", 0.1)
    assert await hears_the_last(queue)


async def test_without_looking_again_it_stays_unheard(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing.delivery.streams, "RESYNC_S", 3600)
    monkeypatch.setattr(queueing.delivery.streams, "CHECK_EVERY_S", 0.1)
    assert not await hears_the_last(queue)


async def lease_after_three_lifetimes(queue: Queue) -> bytes | None:
    """Who holds the lease of a dispatcher whose loop did nothing for three times as long as it lasts."""

    @dataclass
    class Busy:
        holder: str = "busy"
        draining: bool = False

        def lose(self) -> None:
            pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queueing.store.queue, "LEASE_MS", LIFE_MS)
        patch.setattr(queueing.dispatch.worker, "LEASE_MS", LIFE_MS)
        patch.setattr(queueing.dispatch.worker, "RENEW_S", LIFE_MS / 10_000)
        drains = DispatcherPool(os.environ["REDIS_URL"], 60)
        drains._active[queue.space_id, 0] = Busy()  # type: ignore[assignment]
        assert await queue.acquire("busy")
        time.sleep(3 * LIFE_MS / 1000)  # noqa: ASYNC251 - a loop that is busy
        found: bytes | None = await queue.redis.get(queue.keys.lease(""))
        drains._active.clear()
    return found


async def test_a_busy_dispatcher_keeps_its_lease(queue: Queue) -> None:
    assert await lease_after_three_lifetimes(queue) == b"busy"


async def test_without_renewal_it_would_lose_it(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DispatcherPool, "_renew_forever", lambda _: None)
    assert await lease_after_three_lifetimes(queue) is None
