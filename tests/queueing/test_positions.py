"""What waiters are told, and the score that is kept of it, on a real server."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

import pytest
import redis as blocking

from queueing.delivery.positions import EVERY_S, Positions
from queueing.delivery.waiters import Place, Waiter
from queueing.events import Accepted, prefix_of
from queueing.stats import eta_accuracy
from queueing.stats.eta_accuracy import EtaAccuracy
from queueing.store import snapshot
from queueing.store.queue import Queue, day
from tests.waiting import eventually

Joins = Callable[..., Awaitable[Accepted]]
Configure = Callable[..., Awaitable[None]]


async def learn(queue: Queue, fn: str, seconds: float, batch: int = 0) -> None:
    """As if so many calls of this function had ended, each after so long."""
    times = ",".join([f"{seconds:g}"] * 20)
    await queue.redis.hset(queue.keys.service, mapping={f"t:{fn}": times, f"b:{fn}": batch})
    await queue.redis.expire(queue.keys.service, 60)


async def told(queue: Queue, channel: str, *, count: int = 1) -> list[Place]:
    """The first places that a waiter of this channel hears."""
    places: list[Place] = []
    waiter = Waiter(queue.space_id, channel, places.append, present=False)
    async with Positions(queue.redis).waiting(waiter):
        await eventually(lambda: len(places) >= count, "places are told")
    return places


def honesty_of(queue: Queue) -> EtaAccuracy:
    with blocking.Redis.from_url(os.environ["REDIS_URL"]) as client:
        return eta_accuracy.load(client, [queue.space_id])[queue.space_id]


async def test_a_waiter_hears_its_own_place_and_both_times(queue: Queue, join: Joins) -> None:
    await learn(queue, "0", 2.0)
    await learn(queue, "1", 10.0)
    await join("a", fn="0")
    await join("b", fn="1")
    mine = await join("me", fn="0")
    (place,) = await told(queue, "me")
    assert (place.event_id, place.position, place.size, place.state) == (mine.event_id, 2, 3, "pending")
    assert place.eta is not None
    assert place.eta.likely == pytest.approx(12.0)
    assert place.eta.at_most >= place.eta.likely


async def test_behind_an_unmeasured_function_no_time_is_invented(queue: Queue, join: Joins) -> None:
    await learn(queue, "0", 2.0)
    await join("a", fn="7")
    await join("me", fn="0")
    (place,) = await told(queue, "me")
    assert (place.position, place.eta) == (1, None)


async def test_running_calls_count_with_what_is_left_of_them(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(concurrency_count=2)
    await learn(queue, "0", 4.0)
    await learn(queue, "1", 30.0)
    await join("a", fn="1")
    await join("b", fn="0")
    await queue.acquire("d")
    assert len((await queue.claim("d"))[0]) == 2
    await join("me", fn="0")
    (place,) = await told(queue, "me")
    assert place.eta is not None
    assert place.eta.likely == pytest.approx(4.0, abs=1.0)


async def test_calls_that_wait_in_the_app_itself_are_no_running_ones_and_come_first(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(concurrency_count=2, batch=1, max_batch_size=8)
    await learn(queue, "0", 4.0)
    await learn(queue, "1", 4.0, batch=2)
    for n in range(3):
        await join(f"s{n}")
    for n in range(2):
        await join(f"b{n}", fn="1", batch=2)
    await queue.acquire("d")
    calls, _ = await queue.claim("d", ahead=8, short=["0", "1"])
    assert [len(call.events) for call in calls] == [1, 1, 1, 2]
    await join("me", fn="0")
    (place,) = await told(queue, "me")
    assert (place.position, place.size) == (0, 1)
    assert place.eta is not None
    # Two run, and behind them there is a round of two calls that he does not see.
    assert place.eta.likely == pytest.approx(8.0, abs=1.0)
    main = (await snapshot.load(queue.redis, queue.space_id)).by_name["main"]
    assert (main.running, main.pending) == (2, 4)


async def test_members_of_one_batch_are_told_one_time(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(batch=1, max_batch_size=8)
    await learn(queue, "0", 5.0, batch=4)
    for n in range(4):
        await join(f"s{n}", batch=4)
    await join("me", batch=4)
    first, last = (await told(queue, "s3"))[0], (await told(queue, "me"))[0]
    assert first.eta is not None
    assert last.eta is not None
    assert (first.eta.likely, round(last.eta.likely, 3)) == (0.0, 5.0)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ({"start_likely": "20", "start_at_most": "40"}, 22.0),
        ({"start_likely": "", "start_at_most": ""}, None),
    ],
)
async def test_a_space_that_does_not_run_adds_its_start_where_that_was_measured(
    queue: Queue, join: Joins, configure: Configure, start: dict[str, str], expected: float | None
) -> None:
    await configure(serving=0, start_since=time.time(), **start)
    await learn(queue, "0", 2.0)
    await join("a")
    await join("me")
    (place,) = await told(queue, "me")
    if expected is None:
        assert place.eta is None
    else:
        assert place.eta is not None
        assert place.eta.likely == pytest.approx(expected, abs=1.0)


async def test_what_calls_take_is_learnt_when_they_end(queue: Queue, join: Joins) -> None:
    await queue.acquire("d")
    for _ in range(200):
        await join(fn="5", batch=3)
        (call,), _ = await queue.claim("d")
        await queue.finish(call.events[0], call, "completed", b"{}", free=True, took_s=0)
    times = (await queue.redis.hget(queue.keys.service, "t:5")).split(b",")
    assert 90 < len(times) < 200
    assert all(0 <= float(t) < 5 for t in times)
    assert await queue.redis.hget(queue.keys.service, "b:5") == b"3"


async def test_cancelled_calls_teach_nothing_and_a_batch_teaches_once(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(batch=1)
    await queue.acquire("d")
    for n in range(4):
        await join(f"s{n}", batch=4)
    (call,), _ = await queue.claim("d")
    for event in call.events:
        await queue.finish(event, call, "completed", b"{}", free=True, took_s=0)
    await join("s")
    (call,), _ = await queue.claim("d")
    await queue.finish(call.events[0], call, "cancelled", b"{}", free=True, took_s=0)
    assert len((await queue.redis.hget(queue.keys.service, "t:0")).split(b",")) == 1


async def test_every_waiter_of_a_long_line_hears_the_place_it_has(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(policy="fair")
    heard: dict[str, Place] = {}
    positions = Positions(queue.redis)
    async with asyncio.TaskGroup() as group:
        ended = asyncio.Event()

        async def wait(channel: str) -> None:
            waiter = Waiter(queue.space_id, channel, lambda p: heard.update({channel: p}), present=False)
            async with positions.waiting(waiter):
                await ended.wait()

        for n in range(40):
            channel = f"channel-{n}"
            await join(channel, visitor=f"v{n % 7}", origin=("page", "api")[n % 2])
            group.create_task(wait(channel))

        async def truthful() -> bool:
            order = [e[:12] for e in await queue.pending_ids()]
            return len(heard) == 40 and all(
                order[place.position] == prefix_of(channel) and place.size == len(order)
                for channel, place in heard.items()
                if prefix_of(channel) in order
            )

        try:
            await eventually(truthful, "all places are those of the line")
            await queue.acquire("d")
            await queue.claim("d")
            await eventually(truthful, "and they follow it", timeout_s=20 * EVERY_S[1])
        finally:
            ended.set()


async def test_only_the_one_who_joined_is_told_between_two_rounds(
    queue: Queue, join: Joins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line of n must not cost n messages for each step of it."""

    async def rounds_are_made_here(self: Positions) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Positions, "_run", rounds_are_made_here)
    await join("early")
    await join("late")
    positions = Positions(queue.redis)
    heard: list[str] = []

    def waiter(channel: str) -> Waiter:
        return Waiter(queue.space_id, channel, lambda _: heard.append(channel), present=False)

    positions.add(waiter("late"))
    positions.add(waiter("new"))
    await positions.refresh(queue.space_id)
    assert heard == ["late"]
    await queue.acquire("d")
    await queue.claim("d")  # the first leaves: all places change
    await join("new")
    await positions.refresh(queue.space_id, everybody=False)
    assert heard == ["late", "new"]
    await positions.refresh(queue.space_id)
    assert heard == ["late", "new", "late"]


# --- honesty --------------------------------------------------------------------------------------------


async def test_the_first_promise_is_compared_when_the_event_is_claimed(queue: Queue, join: Joins) -> None:
    await learn(queue, "0", 20.0)
    await queue.acquire("d")
    await join("running")
    (call,), _ = await queue.claim("d")
    await join("me")
    await told(queue, "me")
    await eventually(lambda: queue.redis.hlen(queue.keys.promises), "the promise is noted")
    await queue.finish(call.events[0], call, "completed", b"{}", free=True, took_s=0)
    await queue.claim("d")
    # Promised about 20 s, and it took a moment: held, but far off.
    found = honesty_of(queue)
    assert (found.count, found.within) == (1, 1.0)
    assert found.median_error is not None
    assert found.median_error > 1
    assert not await queue.redis.exists(queue.keys.promises)


async def test_a_broken_promise_counts_against_us(queue: Queue, join: Joins) -> None:
    await queue.acquire("d")
    for waited, likely, at_most in (
        (10.0, 10.2, 12.0),
        (10.0, 9.6, 9.9),
        (10.0, 5.0, 6.0),
        (10.0, 9.0, 11.0),
    ):
        accepted = await join()
        promise = f"{time.time() - waited:.3f} {likely} {at_most}"
        await queue.redis.hset(queue.keys.promises, accepted.event_id, promise)
        (call,), _ = await queue.claim("d")
        await queue.finish(call.events[0], call, "completed", b"{}", free=True, took_s=0)
    found = honesty_of(queue)
    assert (found.count, found.within) == (4, 0.5)
    assert found.median_error == pytest.approx(0.05)


async def test_a_cancelled_event_leaves_no_promise_behind(queue: Queue, join: Joins) -> None:
    accepted = await join("me")
    await queue.redis.hset(queue.keys.promises, accepted.event_id, "0 1 2")
    await queue.cancel(accepted.event_id, "me")
    assert not await queue.redis.exists(queue.keys.promises)
    assert await queue.redis.exists(queue.keys.honesty(day())) == 0


def test_the_middle_error_is_read_from_the_buckets() -> None:
    day = {b"count": b"10", b"within": b"9", b"off:0.1": b"4", b"off:0.2": b"4", b"off:more": b"2"}
    found = eta_accuracy.of_days([day])
    assert found.within == 0.9
    assert found.median_error == pytest.approx(0.15 + 0.05 / 4)
    assert eta_accuracy.of_days([{}]) == EtaAccuracy()
