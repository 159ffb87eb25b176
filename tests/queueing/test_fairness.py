"""The fair policy: its order against a plain model, and the bounds of docs/explanation/fairness.md."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queueing import queue_settings
from queueing.errors import VisitorLimit
from queueing.setting_fields import Settings
from queueing.store.queue import Queue
from tests.queueing.fair_model import FairModel, fresh_queue, join, serve_one

VISITORS = {"page-1": "page", "page-2": "page", "page-3": "page", "program-1": "api", "program-2": "api"}
JOINS = st.tuples(st.just("join"), st.sampled_from(sorted(VISITORS)), st.integers(1, 5))
SERVES = st.tuples(st.just("serve"), st.just(""), st.integers(1, 6))
CANCELS = st.tuples(st.just("cancel"), st.just(""), st.integers(0, 50))
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quick
@given(st.lists(st.one_of(JOINS, SERVES, CANCELS), max_size=25), st.integers(1, 10))
def test_order_and_positions_are_the_models(steps: list[tuple[str, str, int]], page_weight: int) -> None:
    async def run() -> None:
        async with fresh_queue(policy="fair", page_weight=page_weight) as queue:
            model = FairModel(page_weight)
            for word, visitor, n in steps:
                if word == "join":
                    for _ in range(n):
                        event_id, position = await join(queue, visitor, VISITORS[visitor])
                        assert position == model.join(event_id, visitor, VISITORS[visitor])
                elif word == "serve":
                    for _ in range(n):
                        assert await serve_one(queue) == model.claim()
                elif model.waiting:
                    event_id = model.order()[n % len(model.waiting)]
                    channel = f"{model.waiting[event_id][2]}-channel"
                    assert await queue.cancel(event_id, channel) == "cancelled"
                    model.leave(event_id)
                assert await queue.pending_ids() == model.order()
            # What a lane remembers of visitors goes with the last of them.
            while model.waiting:
                assert await serve_one(queue) == model.claim()
            assert not await queue.redis.exists(queue.keys.shares("main"))

    asyncio.run(run())


@dataclass
class Waiting:
    """One waiting event, and which later ones and which programs' ones were served before it."""

    visitor: str
    nth: int  # its place among its visitor's own waiting events, from 1
    present: frozenset[str]  # who stood in line when it joined
    before: Counter[str]  # by visitor: events served since it joined
    overtaken: Counter[str]  # by visitor: of those, the ones that joined after it


async def play(steps: list[tuple[str, str, int]], queue: Queue) -> list[Waiting]:
    """Every event's story, to the last one served."""
    open_: dict[str, Waiting] = {}
    done: list[Waiting] = []

    async def serve() -> bool:
        served = await serve_one(queue)
        if served is None:
            return False
        mine = open_.pop(served)
        for event in open_.values():
            event.before[mine.visitor] += 1
            event.overtaken[mine.visitor] += served not in event.present
        done.append(mine)
        return True

    for word, visitor, n in steps:
        for _ in range(n):
            if word == "serve":
                await serve()
                continue
            nth = 1 + sum(e.visitor == visitor for e in open_.values())
            event_id, _ = await join(queue, visitor, VISITORS[visitor])
            open_[event_id] = Waiting(visitor, nth, frozenset(open_), Counter(), Counter())
    while await serve():
        pass
    return done


def delay_bound(nth: int, page_weight: int) -> int:
    """Calls of one program that may start before the nth waiting event of a visitor on the page."""
    return nth // page_weight + 1


def overtaking_bound(mine: str, nth: int, other: str, page_weight: int) -> int:
    """Later events of one other visitor that may be served before one's nth waiting event."""
    step = {"page": 1, "api": page_weight}
    return math.ceil(nth * step[VISITORS[mine]] / step[VISITORS[other]]) - 1


@quick
@given(st.lists(st.one_of(JOINS, SERVES), min_size=5, max_size=25), st.integers(1, 10))
def test_no_program_delays_a_page_visitor_beyond_the_bound(
    steps: list[tuple[str, str, int]], page_weight: int
) -> None:
    async def run() -> None:
        async with fresh_queue(policy="fair", page_weight=page_weight) as queue:
            for event in await play(steps, queue):
                for other in VISITORS.keys() - {event.visitor}:
                    most = overtaking_bound(event.visitor, event.nth, other, page_weight)
                    assert event.overtaken[other] <= most
                    if VISITORS[event.visitor] == "page" and VISITORS[other] == "api":
                        assert event.before[other] <= delay_bound(event.nth, page_weight)

    asyncio.run(run())


@pytest.mark.parametrize(("policy", "before"), [("fifo", 49), ("fair", delay_bound(1, page_weight=2))])
async def test_fifty_requests_of_a_program_stand_before_a_page_visitor_only_under_fifo(
    policy: str, before: int
) -> None:
    async with fresh_queue(policy=policy) as queue:
        for _ in range(50):
            await join(queue, "program-1", "api")
        await serve_one(queue)
        mine, position = await join(queue, "page-1", "page")
        served = 0
        while await serve_one(queue) != mine:
            served += 1
        assert served == position == before if policy == "fifo" else served <= position <= before


async def test_two_events_of_a_page_are_served_for_one_of_a_program() -> None:
    async with fresh_queue(policy="fair", page_weight=2) as queue:
        by_id = {(await join(queue, "program-1", "api"))[0]: "A" for _ in range(10)}
        by_id |= {(await join(queue, "page-1", "page"))[0]: "P" for _ in range(20)}
        order = "".join([by_id[str(await serve_one(queue))] for _ in range(30)])
        assert all(order[at : at + 3].count("P") == 2 for at in range(0, 30, 3)), order


async def test_a_page_visitors_one_event_never_loses_a_place() -> None:
    async with fresh_queue(policy="fair") as queue:
        for n in range(5):
            await join(queue, f"other-{n}", "page")
        mine, position = await join(queue, "page-1", "page")
        for n in range(40):
            await join(queue, f"late-{n}", ("page", "api")[n % 2])
            now = await queue.redis.zrank(queue.keys.wait("main"), mine)
            assert now <= position


async def test_interrupted_events_go_first_under_fair_too() -> None:
    async with fresh_queue(policy="fair") as queue:
        first, _ = await join(queue, "program-1", "api")
        (await queue.claim("d"))
        late, _ = await join(queue, "page-1", "page")
        await queue.redis.delete(queue.keys.lease(""))
        await queue.acquire("d")
        assert [await serve_one(queue), await serve_one(queue)] == [first, late]


async def test_batches_fill_up_in_fair_order() -> None:
    async with fresh_queue(policy="fair", batch=1, max_batch_size=4) as queue:
        program = [(await join(queue, "program-1", "api", batch=4))[0] for _ in range(6)]
        page = [(await join(queue, f"page-{n}", "page", batch=4))[0] for n in range(2)]
        (call,), _ = await queue.claim("d")
        assert [e.id for e in call.events] == [*page, *program[:2]]


async def test_a_long_line_keeps_ties_in_order_of_arrival() -> None:
    async with fresh_queue(policy="fair") as queue:
        await queue.redis.set(queue.keys.seq, 4194304 * 7 + 1000)
        await join(queue, "keeps-the-line-open", "page")
        await queue.redis.hset(queue.keys.shares("main"), "v", 2_000_000_000)
        ids = [(await join(queue, f"visitor-{n}", "page"))[0] for n in range(200)]
        assert (await queue.pending_ids())[1:] == ids


# --- switching ------------------------------------------------------------------------------------------


def switch(queue: Queue, **values: Any) -> None:
    queue_settings.publish(queue.space_id, Settings(**values))


async def test_switching_back_and_forth_loses_nothing_and_sorts_by_the_policy() -> None:
    async with fresh_queue() as queue:
        program = [(await join(queue, "program-1", "api"))[0] for _ in range(4)]
        page = [(await join(queue, "page-1", "page"))[0] for _ in range(2)]
        arrivals = [*program, *page]
        await asyncio.to_thread(switch, queue, policy="fair")
        # Tags: the program's 2 4 6 8, the page's 1 2.
        assert await queue.pending_ids() == [page[0], program[0], page[1], *program[1:]]
        late, position = await join(queue, "page-1", "page")
        assert position == 3
        await asyncio.to_thread(switch, queue, policy="fifo")
        assert await queue.pending_ids() == [*arrivals, late]
        last, position = await join(queue, "page-2", "page")
        assert position == 7
        assert [await serve_one(queue) for _ in range(8)] == [*arrivals, late, last]


async def test_publishing_again_moves_nobody() -> None:
    async with fresh_queue() as queue:
        await asyncio.to_thread(switch, queue, policy="fair")
        for n in range(12):
            await join(queue, ("program-1", "page-1")[n % 2], ("api", "page")[n % 2])
        await serve_one(queue)
        before = await queue.pending_ids()
        await asyncio.to_thread(switch, queue, policy="fair", concurrency_count=3)
        assert await queue.pending_ids() == before


# --- the limit for one visitor ----------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["fifo", "fair"])
async def test_one_visitor_may_have_so_many_waiting_and_no_more(policy: str) -> None:
    async with fresh_queue(policy=policy, max_per_visitor=2) as queue:
        first, _ = await join(queue, "program-1", "api")
        second, _ = await join(queue, "program-1", "api")
        with pytest.raises(VisitorLimit, match="2 of at most 2") as refused:
            await join(queue, "program-1", "api")
        assert (refused.value.code, refused.value.status) == ("queue.visitor_limit", 429)
        await join(queue, "page-1", "page")
        await queue.cancel(second, "program-1-channel")
        third, _ = await join(queue, "program-1", "api")
        # A running event is not a waiting one.
        await queue.claim("d")
        assert third in await queue.pending_ids()
        if policy == "fifo":
            assert first not in await queue.pending_ids()
            await join(queue, "program-1", "api")


async def test_a_pages_own_loads_do_not_count_against_its_visitor() -> None:
    async with fresh_queue(max_per_visitor=1) as queue:
        await join(queue, "page-1", "page")
        await join(queue, "page-1", "page", lane="side")


async def test_64_joins_of_one_visitor_at_once_keep_the_limit() -> None:
    async with fresh_queue(max_per_visitor=5) as queue:
        answers = await asyncio.gather(
            *(join(queue, "program-1", "api") for _ in range(64)), return_exceptions=True
        )
        assert sum(isinstance(a, VisitorLimit) for a in answers) == 59
