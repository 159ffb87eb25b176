"""Groups of functions beside each other: their limits, their turns, a total, and each group's own line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queueing.delivery.positions import Positions
from queueing.delivery.waiters import Place, Waiter
from queueing.dispatch import reaper
from queueing.errors import QueueFull, VisitorLimit
from queueing.events import Accepted, Call
from queueing.lines import line_of
from queueing.messages import completed
from queueing.routes import encode
from queueing.store import snapshot
from queueing.store.admin_ops import clear
from queueing.store.queue import SIDE_CALLS, Queue
from tests.events import a_route
from tests.invariants.model import Model

Joins = Callable[..., Awaitable[Accepted]]
Configure = Callable[..., Awaitable[None]]


async def limit(queue: Queue, **numbers: int | str) -> None:
    await queue.redis.hset(
        queue.keys.limits, mapping={line_of("main", name): str(n) for name, n in numbers.items()}
    )


async def claim(queue: Queue, **sent: Any) -> list[str]:
    """The groups of the calls that start now."""
    return [call.line.partition(":")[2] for call in (await queue.claim("d", **sent))[0]]


async def finish(queue: Queue, call: Call) -> None:
    for event in call.events:
        await queue.finish(event, call, "completed", completed(event.id, {"data": []}), free=True, took_s=0)


async def test_a_busy_group_holds_up_no_other(queue: Queue, join: Joins) -> None:
    await join(group="slow")
    await queue.acquire("d")
    assert await claim(queue) == ["slow"]
    for group in ("slow", "quick"):
        await join(group=group)
    assert await claim(queue) == ["quick"]


async def test_each_group_has_its_own_limit_and_concurrency_count_where_it_has_none(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(concurrency_count=2)
    await limit(queue, one=1, three=3, free="none")
    for group in ("one", "three", "free", "default"):
        for n in range(5):
            await join(f"{group}{n}", group=group)
    await queue.acquire("d")
    started = await claim(queue)
    assert {group: started.count(group) for group in set(started)} == {
        "one": 1, "three": 3, "free": 5, "default": 2,
    }  # fmt: skip


async def test_no_number_at_all_is_no_limit(queue: Queue, join: Joins, configure: Configure) -> None:
    await configure(concurrency_count="")
    for n in range(7):
        await join(f"s{n}", group="g")
    await queue.acquire("d")
    assert await claim(queue) == ["g"] * 7


async def test_groups_take_turns_under_a_total(queue: Queue, join: Joins, configure: Configure) -> None:
    await configure(max_running=2, concurrency_count=2)
    for group in ("a", "b", "c"):
        for n in range(4):
            await join(f"{group}{n}", group=group)
    await queue.acquire("d")
    running, _ = await queue.claim("d")
    order = [call.line for call in running]
    while running:
        assert len(running) <= 2
        await finish(queue, running.pop(0))
        calls, _ = await queue.claim("d")
        order += [call.line for call in calls]
        running += calls
    assert order == ["main:a", "main:b", "main:c"] * 4


async def test_the_total_counts_no_page_loads_and_ticks(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(max_running=1)
    for group in ("a", "b"):
        await join(group=group)
    await join(lane="side", group="tick")
    await queue.acquire("d")
    assert sorted(await claim(queue)) == ["a", "tick"]


async def test_a_tick_does_not_stand_behind_a_slow_page_load(queue: Queue, join: Joins) -> None:
    for n in range(SIDE_CALLS + 3):
        await join(f"s{n}", lane="side", group="load")
    await join("t", lane="side", group="tick")
    await queue.acquire("d")
    assert sorted(await claim(queue)) == ["load"] * SIDE_CALLS + ["tick"]


async def test_a_join_in_an_idle_group_starts_at_once_behind_ten_thousand_of_a_full_one(
    queue: Queue, join: Joins
) -> None:
    await join(group="full")
    await queue.acquire("d")
    assert await claim(queue) == ["full"]
    pipe = queue.redis.pipeline()
    pipe.zadd(queue.keys.wait("main:full"), {f"{n:032x}": n for n in range(10_000)})
    await pipe.execute()
    woken: list[bytes] = []
    async with queue.redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe(queue.keys.wake)
        await pubsub.get_message(timeout=1)
        await join("other", group="idle")
        while (message := await pubsub.get_message(timeout=1)) is not None:
            woken.append(message["data"])
    assert woken == [b"join main:idle"]
    assert await claim(queue) == ["idle"]


async def test_position_and_size_are_the_groups_though_max_size_counts_all(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(max_size=5)
    for n in range(4):
        await join(f"a{n}", group="a")
    first = await join("b", group="b")
    assert (first.position, first.size) == (0, 1)
    with pytest.raises(QueueFull, match="5 of at most 5"):
        await join("c", group="b")


async def test_what_one_visitor_may_have_waiting_counts_in_all_groups(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(max_per_visitor=3)
    for group in ("a", "b", "c"):
        await join(group=group, visitor="v")
    with pytest.raises(VisitorLimit):
        await join(group="d", visitor="v")
    await join(group="d", visitor="w")


async def test_fair_tags_of_one_group_delay_nobody_in_another(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(policy="fair")
    for n in range(20):
        await join(f"a{n}", group="a", visitor="busy", origin="api")
    mine = await join("mine", group="b", visitor="busy", origin="api")
    theirs = await join("theirs", group="b", visitor="other", origin="api")
    assert (mine.position, theirs.position) == (0, 1)


async def test_a_lost_lease_brings_back_what_ran_in_every_group(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(max_running=3)
    ids = [(await join(group, group=group)).event_id for group in ("", "g", "h")]
    await queue.acquire("dead")
    assert len((await queue.claim("dead"))[0]) == 3
    await queue.redis.delete(queue.keys.lease(""))
    assert await queue.acquire("d")
    assert sorted(await queue.pending_ids()) == sorted(ids)
    calls, _ = await queue.claim("d")
    assert {call.line for call in calls} == {"main", "main:g", "main:h"}
    for call in calls:
        await finish(queue, call)
    assert await queue.release("d")
    assert await queue.redis.exists(queue.keys.lines) == 0


async def test_an_event_that_a_process_older_than_groups_joined_is_served(queue: Queue, join: Joins) -> None:
    accepted = await join()
    await queue.redis.hdel(queue.keys.event(accepted.event_id), "group")
    await queue.redis.delete(queue.keys.lines)
    await join("new", group="g")
    await queue.acquire("d")
    calls, _ = await queue.claim("d")
    assert {call.line for call in calls} == {"main", "main:g"}
    await queue.redis.delete(queue.keys.lease(""))
    await queue.acquire("heir")
    assert accepted.event_id in await queue.pending_ids()


async def test_what_waits_in_a_group_is_forgotten_by_nobody(queue: Queue, join: Joins) -> None:
    await queue.redis.set(queue.keys.route, _route(queue))
    accepted = await join(group="g")
    assert len(await reaper.forgotten(queue.redis, [queue.space_id])) == 1
    await queue.cancel(accepted.event_id, "session")
    assert await reaper.forgotten(queue.redis, [queue.space_id]) == []


async def test_the_owner_clears_all_groups(queue: Queue, join: Joins) -> None:
    for group in ("", "g", "h"):
        await join(group=group)
    assert await asyncio.to_thread(clear, queue.space_id) == 3
    assert await queue.pending_ids() == []


async def test_a_wild_name_is_a_group_like_any_other(queue: Queue, join: Joins) -> None:
    for group in ("main", "a:b}{", "join x", "\N{SNOWMAN}" * 100, "side"):
        await join(group=group)
    await queue.acquire("d")
    calls, pending = await queue.claim("d")
    assert (len(calls), pending) == (5, {})
    for call in calls:
        await finish(queue, call)
    assert await queue.release("d")


# --- the promise -----------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_while_a_group_has_room_each_other_starts_at_most_one_call_before_it(data: st.DataObject) -> None:
    """On the model, which random histories hold beside the scripts."""
    model = Model()
    model.settings.max_running = data.draw(st.integers(1, 3))
    model.settings.concurrency_count = data.draw(st.integers(1, 3))
    model.acquire("d")
    names = st.sampled_from(["main", "main:g", "main:h"])
    number = 0

    def arrive(name: str) -> str:
        nonlocal number
        number += 1
        model.join(
            event_id=f"e{number}", line=name, origin="page", channel=f"c{number}", fn="0", batch=0, after="",
            key="", digest="",
        )  # fmt: skip
        return f"e{number}"

    for name in data.draw(st.lists(names, max_size=12)):
        arrive(name)
    _claims(model)
    mine = data.draw(names)
    while model.pending(mine, front=False):
        _end_one(model)
        _claims(model)
    me, others = arrive(mine), []
    while model.events[me].state == "pending":
        for name in data.draw(st.lists(names, max_size=2)):
            arrive(name)
        had_room = len(model.calls[mine]) < model.settings.limit(mine)
        started = _claims(model)
        if had_room:
            others += started[: started.index(mine)] if mine in started else started
        if model.events[me].state == "pending":
            _end_one(model)
    assert all(others.count(name) <= 1 for name in set(others) - {mine})


def _claims(model: Model) -> list[str]:
    tokens = list(range(model.token + 1, model.token + 50))
    return [call.line for call in model.claim("", tokens)]


def _end_one(model: Model) -> None:
    event = next(e for e in model.events.values() if e.state == "running")
    assert event.token is not None
    model.finish(event.id, event.line, event.token, "completed", free=True)


# --- what is told ----------------------------------------------------------------------------------


async def told(queue: Queue, channel: str) -> Place:
    places: list[Place] = []
    positions = Positions(queue.redis)
    positions.add(Waiter(queue.space_id, channel, places.append))
    await positions.refresh(queue.space_id)
    return places[-1]


async def learn(queue: Queue, fn: str, seconds: float) -> None:
    await queue.redis.hset(
        queue.keys.service, mapping={f"t:{fn}": ",".join([str(seconds)] * 20), f"b:{fn}": 0}
    )
    await queue.redis.expire(queue.keys.service, 60)


async def test_a_place_says_its_group_and_what_it_waits_for(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(max_running=1)
    await join("x", group="a")
    await queue.acquire("d")
    await queue.claim("d")
    await join("same", group="a")
    await join("other", group="b")
    same, other = await told(queue, "same"), await told(queue, "other")
    assert (same.position, same.group, same.waits_for) == (0, "a", "group")
    assert (other.position, other.group, other.waits_for) == (0, "b", "space")


async def test_a_time_is_the_groups_own_where_each_has_its_places(queue: Queue, join: Joins) -> None:
    await learn(queue, "0", 100.0)
    await learn(queue, "1", 1.0)
    for n in range(3):
        await join(f"slow{n}", group="slow", fn="0")
    for n in range(2):
        await join(f"quick{n}", group="quick", fn="1")
    last = await told(queue, "quick1")
    assert last.eta is not None
    assert last.eta.likely == pytest.approx(1.0, abs=0.1)


async def test_under_a_total_a_time_counts_the_turns_of_other_groups(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(max_running=1)
    for fn, seconds in (("0", 10.0), ("1", 1.0)):
        await learn(queue, fn, seconds)
    for n in range(3):
        await join(f"slow{n}", group="slow", fn="0")
    for n in range(3):
        await join(f"quick{n}", group="quick", fn="1")
    places = {name: (await told(queue, name)).eta for name in ("slow0", "quick0", "slow1", "quick1", "slow2")}
    assert {name: round(eta.likely) for name, eta in places.items() if eta} == {
        # quick and slow in turn
        "slow0": 1, "quick0": 0, "slow1": 12, "quick1": 11, "slow2": 23,
    }  # fmt: skip


async def test_the_longest_group_is_the_spaces_time(queue: Queue, join: Joins) -> None:
    for fn, seconds in (("0", 10.0), ("1", 1.0)):
        await learn(queue, fn, seconds)
    await join("a", group="slow", fn="0")
    await join("b", group="quick", fn="1")
    lines = await snapshot.load(queue.redis, queue.space_id)
    assert lines.joining is not None
    assert (lines.pending, round(lines.joining.likely)) == (2, 10)


def _route(queue: Queue) -> bytes:
    return encode(a_route(queue.space_id, address="127.0.0.1:1"))
