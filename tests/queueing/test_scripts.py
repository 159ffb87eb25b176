"""Each transition of the queue by itself, on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from queueing.errors import ApiClosed, LeaseLost, Moved, QueueFull, Refused
from queueing.events import Accepted, Call, Event, decode
from queueing.messages import INTERRUPTED, completed, failed
from queueing.store.keys import SpaceKeys
from queueing.store.queue import MAX_LOSSES, Final, Queue

Joins = Callable[..., Awaitable[Accepted]]
Configure = Callable[..., Awaitable[None]]


async def finish(queue: Queue, call: Call, event: Event | None = None, status: Final = "completed") -> bool:
    event = event or call.events[0]
    return await queue.finish(event, call, status, completed(event.id, {"data": []}), free=True, took_s=0)


async def final_messages(queue: Queue, channel: str) -> list[str]:
    entries = await queue.redis.xrange(SpaceKeys(queue.space_id).messages(channel))
    return [fields[b"e"].decode() for _, fields in entries if fields[b"f"] == b"1"]


async def test_positions_count_from_zero_and_order_is_first_come(queue: Queue, join: Joins) -> None:
    first, second = await join(), await join("other")
    assert (first.position, first.size) == (0, 1)
    assert (second.position, second.size) == (1, 2)
    assert await queue.pending_ids() == [first.event_id, second.event_id]


async def test_join_asks_to_wake_a_dispatcher_only_while_there_is_none(queue: Queue, join: Joins) -> None:
    assert (await join()).wake
    assert await queue.acquire("d1")
    assert not (await join()).wake


async def test_only_the_replica_that_visitors_are_sent_to_claims(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(replicas="11 12")
    await join()
    for holder, claims in (("1:d", False), ("2:d", False), ("d", False), ("12:d", True)):
        assert await queue.acquire(holder)
        if claims:
            assert len((await queue.claim(holder))[0]) == 1
        else:
            with pytest.raises(Moved):
                await queue.claim(holder)
        await queue.release(holder, force=True)


async def test_a_claim_sent_right_behind_an_end_finds_its_place_on_a_fresh_server_too(
    queue: Queue, join: Joins
) -> None:
    await join()
    second = await join("other")
    await queue.redis.script_flush()
    assert await queue.acquire("d1")
    calls, _ = await queue.claim("d1")
    _, (behind, _) = await asyncio.gather(finish(queue, calls[0]), queue.claim("d1"))
    assert [call.events[0].id for call in behind] == [second.event_id]


async def test_full_queue_refuses_at_once_and_says_how_many(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(max_size=2)
    await join()
    await join()
    with pytest.raises(QueueFull, match="2 of at most 2"):
        await join()


async def test_max_size_holds_against_64_joins_at_once(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(max_size=10)
    answers = await asyncio.gather(*(join() for _ in range(64)), return_exceptions=True)
    assert sum(isinstance(a, QueueFull) for a in answers) == 54
    assert len(await queue.pending_ids()) == 10


async def test_page_load_events_do_not_use_up_max_size(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(max_size=1)
    await join()
    assert (await join(lane="side")).position == 0


async def test_closed_api_refuses_programs_but_not_pages(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(api_open=0)
    with pytest.raises(ApiClosed):
        await join(origin="api")
    await join(origin="page")


async def test_paused_space_says_why(queue: Queue, join: Joins, configure: Configure) -> None:
    await configure(refuse="This Space is paused by its owner.")
    with pytest.raises(Refused, match="paused by its owner"):
        await join()


async def test_a_repeated_submit_is_the_same_event(queue: Queue, join: Joins, configure: Configure) -> None:
    first = await join(visitor="v", idempotency_key="k")
    await configure(max_size=1)
    again = await join(visitor="v", idempotency_key="k")
    assert again.replayed
    assert again.event_id == first.event_id
    with pytest.raises(QueueFull):
        await join(visitor="other", idempotency_key="k")


async def test_claim_takes_as_many_calls_as_concurrency_count_allows(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(concurrency_count=2)
    ids = [(await join()).event_id for _ in range(3)]
    await queue.acquire("d")
    calls, pending = await queue.claim("d")
    assert [c.events[0].id for c in calls] == ids[:2]
    assert pending == {"main": 1}
    assert (await queue.claim("d"))[0] == []
    assert await finish(queue, calls[0])
    calls, _ = await queue.claim("d")
    assert [c.events[0].id for c in calls] == ids[2:]


async def test_raised_concurrency_acts_on_the_next_claim(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    for _ in range(3):
        await join()
    await queue.acquire("d")
    assert len((await queue.claim("d"))[0]) == 1
    await configure(concurrency_count=3)
    assert len((await queue.claim("d"))[0]) == 2


async def test_lowered_concurrency_drains(queue: Queue, join: Joins, configure: Configure) -> None:
    await configure(concurrency_count=2)
    for _ in range(4):
        await join()
    await queue.acquire("d")
    calls, _ = await queue.claim("d")
    await configure(concurrency_count=1)
    await finish(queue, calls[0])
    assert (await queue.claim("d"))[0] == []
    await finish(queue, calls[1])
    assert len((await queue.claim("d"))[0]) == 1


async def test_thirty_waiting_go_as_sixteen_then_fourteen(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(batch=1, max_batch_size=16)
    for n in range(30):
        await join(f"session{n}", batch=64)
    await queue.acquire("d")
    sizes = []
    while calls := (await queue.claim("d"))[0]:
        sizes += [len(c.events) for c in calls]
        for event in calls[0].events:
            await queue.finish(event, calls[0], "completed", completed(event.id, {}), free=True, took_s=0)
    assert sizes == [16, 14]


async def test_batches_hold_one_function_and_respect_its_own_bound(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(batch=1, max_batch_size=16)
    for fn in ("0", "1", "0", "0", "0"):
        await join(fn=fn, batch=3)
    await queue.acquire("d")
    (call,), _ = await queue.claim("d")
    assert [e.fn for e in call.events] == ["0", "0", "0"]


async def test_batch_off_sends_one_at_a_time(queue: Queue, join: Joins, configure: Configure) -> None:
    await configure(batch=0, max_batch_size=16)
    for _ in range(3):
        await join(batch=16)
    await queue.acquire("d")
    (call,), _ = await queue.claim("d")
    assert len(call.events) == 1


async def test_side_lane_runs_beside_a_busy_main_lane(queue: Queue, join: Joins) -> None:
    await join()
    await join(lane="side")
    await queue.acquire("d")
    calls, _ = await queue.claim("d")
    assert {c.lane for c in calls} == {"main", "side"}


async def test_max_threads_bounds_all_lanes_together(queue: Queue, join: Joins, configure: Configure) -> None:
    await configure(concurrency_count=3, max_threads=3)
    for lane in ("main", "main", "main", "side"):
        await join(lane=lane)
    await queue.acquire("d")
    assert len((await queue.claim("d"))[0]) == 3


async def test_claim_without_the_lease_is_refused(queue: Queue, join: Joins) -> None:
    await join()
    with pytest.raises(LeaseLost):
        await queue.claim("nobody")


async def test_second_dispatcher_does_not_get_a_living_ones_lease(queue: Queue) -> None:
    assert await queue.acquire("one")
    assert not await queue.acquire("two")
    assert await queue.acquire("one")


async def test_events_of_a_dead_dispatcher_return_to_the_front_and_its_writes_are_refused(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(concurrency_count=2)
    ids = [(await join(f"s{n}")).event_id for n in range(4)]
    await queue.acquire("dead")
    dead_calls, _ = await queue.claim("dead")
    await queue.redis.delete(queue.keys.lease(""))
    assert await queue.acquire("heir")
    assert await queue.pending_ids() == ids
    calls, _ = await queue.claim("heir")
    assert [c.events[0].id for c in calls] == ids[:2]
    assert not await finish(queue, dead_calls[0])
    assert not await queue.emit(dead_calls[0].events[0], dead_calls[0].token, b"{}")
    assert await finish(queue, calls[0])
    assert await final_messages(queue, "s0") == [ids[0]]


async def test_an_event_fails_after_five_lost_workers(queue: Queue, join: Joins) -> None:
    accepted = await join()
    for n in range(MAX_LOSSES):
        assert await queue.acquire(f"d{n}")
        assert len((await queue.claim(f"d{n}"))[0]) == 1
        await queue.redis.delete(queue.keys.lease(""))
    assert await queue.acquire("last")
    assert (await queue.claim("last"))[0] == []
    assert await final_messages(queue, "session") == [accepted.event_id]
    assert (await queue.state(accepted.event_id, "state"))["state"] == "failed"


async def test_who_lost_a_worker_is_told_so_each_time_but_no_page_about_its_own_events(
    queue: Queue, join: Joins
) -> None:
    accepted = await join("visitor")
    await join("page", lane="side")
    for n in range(3):
        await queue.acquire(f"d{n}")
        await queue.claim(f"d{n}")
        await queue.redis.delete(queue.keys.lease(""))
    entries = await queue.redis.xrange(queue.keys.messages("visitor"))
    told = [decode(fields[b"d"]) for _, fields in entries]
    assert [(m["event_id"], m["code"]) for m in told] == [(accepted.event_id, INTERRUPTED)] * 2
    assert await queue.redis.exists(queue.keys.messages("page")) == 0


async def test_a_hand_over_counts_as_no_loss(queue: Queue, join: Joins) -> None:
    accepted = await join("long", body={"data": ["long"]})
    behind = await join("behind", body={"data": ["behind"]})
    for n in range(3 * MAX_LOSSES):
        assert await queue.acquire(f"worker-{n}")
        (call,), _ = await queue.claim(f"worker-{n}")
        assert call.events[0].id == accepted.event_id, "it stays before all others"
        assert await queue.release(f"worker-{n}", leave=True)
        assert not await finish(queue, call), "who left it may not end it any more"
    assert await queue.pending_ids() == [accepted.event_id, behind.event_id]
    await queue.acquire("last")
    (call,), _ = await queue.claim("last")
    assert await finish(queue, call)
    assert await final_messages(queue, "long") == [accepted.event_id]


async def test_what_must_not_run_twice_is_only_taken_up_after_a_hand_over(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(retry=0)
    await join("once")
    await queue.acquire("one")
    (call,), _ = await queue.claim("one")
    assert call.events[0].may_begin
    await queue.release("one", leave=True)
    await queue.acquire("two")
    (call,), _ = await queue.claim("two")
    assert not call.events[0].may_begin


async def test_waiting_visitors_keep_their_position_when_an_interrupted_event_returns(
    queue: Queue, join: Joins
) -> None:
    await join("running")
    waiting = await join("waiting")
    await queue.acquire("d")
    await queue.claim("d")
    before = (await queue.redis.zrank(queue.keys.wait("main"), waiting.event_id),)
    await queue.redis.delete(queue.keys.lease(""))
    await queue.acquire("heir")
    assert (await queue.redis.zrank(queue.keys.wait("main"), waiting.event_id),) == before


async def test_cancelled_pending_event_leaves_with_one_final_message(queue: Queue, join: Joins) -> None:
    first, second = await join("a"), await join("b")
    assert await queue.cancel(first.event_id, "a") == "cancelled"
    assert await queue.cancel(first.event_id, "a") == "unknown"
    assert await queue.pending_ids() == [second.event_id]
    assert await final_messages(queue, "a") == [first.event_id]


async def test_nobody_cancels_somebody_elses_event(queue: Queue, join: Joins) -> None:
    mine = await join("mine")
    assert await queue.cancel(mine.event_id, "theirs") == "unknown"
    assert await queue.pending_ids() == [mine.event_id]


async def test_a_running_event_is_flagged_for_its_dispatcher(queue: Queue, join: Joins) -> None:
    accepted = await join("a")
    await queue.acquire("d")
    await queue.claim("d")
    assert await queue.cancel(accepted.event_id, "a") == "running"


async def test_an_event_ends_once(queue: Queue, join: Joins) -> None:
    await join("a")
    await queue.acquire("d")
    (call,), _ = await queue.claim("d")
    assert await finish(queue, call)
    assert not await finish(queue, call)
    event = call.events[0]
    assert not await queue.finish(event, call, "failed", failed(event.id, "x"), free=True, took_s=None)
    assert len(await final_messages(queue, "a")) == 1


async def test_release_refuses_while_somebody_joined_meanwhile(queue: Queue, join: Joins) -> None:
    await queue.acquire("d")
    await join()
    assert not await queue.release("d")
    await queue.claim("d")
    assert await queue.release("d")


async def test_the_step_after_one_just_finished_goes_first(queue: Queue, join: Joins) -> None:
    await join("a", fn="3")
    for n in range(3):
        await join(f"w{n}")
    await queue.acquire("d")
    (call,), _ = await queue.claim("d")
    await finish(queue, call)
    step = await join("a", fn="4", after="3")
    stranger = await join("b", fn="4", after="3")
    assert step.position == 0
    assert stranger.position == 3
    (call,), _ = await queue.claim("d")
    assert call.events[0].id == step.event_id


async def test_each_step_follows_an_end_once(queue: Queue, join: Joins, configure: Configure) -> None:
    """Else a session that finished one call could have any number of others past the line and its limit."""
    await configure(max_size=1)
    assert await queue.acquire("d1")
    await join("a", fn="3")
    calls, _ = await queue.claim("d1")
    await finish(queue, calls[0])
    await join("other")
    await join("a", fn="4", after="3")
    await join("a", fn="5", after="3")
    for fn in ("4", "5"):
        with pytest.raises(QueueFull):
            await join("a", fn=fn, after="3")
