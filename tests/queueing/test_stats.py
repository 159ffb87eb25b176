"""What the queue's scripts count."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from queueing.errors import ApiClosed, QueueFull, Refused
from queueing.events import Accepted
from queueing.stats.counters import COUNTS, MOST_FUNCTIONS, OTHERS, Minute, Tally, parse_minute
from queueing.stats.histograms import bucket_of
from queueing.store.queue import MAX_LOSSES, Queue
from tests.queueing.test_scripts import finish

Joins = Callable[..., Awaitable[Accepted]]
Configure = Callable[..., Awaitable[None]]


async def counted(queue: Queue) -> Minute:
    """Everything counted for this Space that is not stored, as one minute."""
    numbers = await queue.redis.smembers(queue.keys.minutes)
    together = Minute()
    for number in numbers:
        minute = parse_minute(await queue.redis.hgetall(queue.keys.minute(int(number))))
        for fn, tally in minute.functions.items():
            together.functions.setdefault(fn, Tally()).add(tally)
        for what in ("pending", "running", "calls"):
            setattr(together, what, max(getattr(together, what), getattr(minute, what)))
    return together


async def test_an_arrival_is_counted_by_its_function_and_its_origin(queue: Queue, join: Joins) -> None:
    await join(origin="page")
    await join(origin="api", fn="3")
    await join(origin="api", fn="3", lane="side")
    functions = (await counted(queue)).functions
    assert functions["main", "0"].counts == {"page": 1}
    assert functions["main", "3"].counts == {"api": 1}
    assert functions["side", "3"].counts == {"api": 1}


async def test_each_refusal_is_counted_by_its_reason_and_not_as_an_arrival(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(max_size=1, api_open=0)
    await join()
    with pytest.raises(QueueFull):
        await join()
    with pytest.raises(ApiClosed):
        await join(origin="api")
    await configure(refuse="paused")
    with pytest.raises(Refused):
        await join()
    assert (await counted(queue)).all().counts == {"page": 1, "full": 1, "closed": 1, "refused": 1}


async def test_a_repeated_submit_is_counted_once(queue: Queue, join: Joins) -> None:
    await join(visitor="v", idempotency_key="k")
    await join(visitor="v", idempotency_key="k")
    assert (await counted(queue)).all().arrivals == 1


async def test_the_wait_is_counted_at_the_claim_and_the_service_time_at_the_end(
    queue: Queue, join: Joins
) -> None:
    accepted = await join()
    # As if it had joined 20 s and been claimed 3 s ago.
    await queue.redis.hincrbyfloat(queue.keys.event(accepted.event_id), "joined", -20)
    await queue.acquire("d")
    (call,), _ = await queue.claim("d")
    await queue.redis.hincrbyfloat(queue.keys.event(accepted.event_id), "started", -3)
    await finish(queue, call)
    tally = (await counted(queue)).functions["main", "0"]
    assert set(tally.wait) <= {bucket_of(20.01), bucket_of(20.4)}
    assert set(tally.service) <= {bucket_of(3.01), bucket_of(3.4)}
    assert (sum(tally.wait.values()), sum(tally.service.values())) == (1, 1)
    assert tally.counts == {"page": 1, "completed": 1}


async def test_failed_and_cancelled_events_are_counted_as_such(queue: Queue, join: Joins) -> None:
    await queue.acquire("d")
    await join()
    (call,), _ = await queue.claim("d")
    await finish(queue, call, status="failed")
    waiting = await join()
    assert await queue.cancel(waiting.event_id, "session") == "cancelled"
    assert (await counted(queue)).all().counts == {"page": 2, "failed": 1, "cancelled": 1}


async def test_those_who_give_up_waiting_are_counted_by_how_long_they_did(queue: Queue, join: Joins) -> None:
    await queue.acquire("d")
    first = await join()
    await queue.claim("d")
    waiting, withdrawn = await join(), await join()
    assert await queue.cancel(waiting.event_id, "session") == "cancelled"
    assert await queue.cancel(withdrawn.event_id, "session", leaves=False) == "cancelled"
    assert await queue.cancel(first.event_id, "session") == "running"
    tally = (await counted(queue)).all()
    assert sum(tally.left.values()) == 1
    assert tally.counts == {"page": 3, "cancelled": 2}


async def test_who_gives_up_after_an_interruption_has_not_given_up_waiting(queue: Queue, join: Joins) -> None:
    await queue.acquire("d")
    await join()
    (call,), _ = await queue.claim("d")
    assert await queue.requeue(call.events[0], call, "deaths", 1)
    assert await queue.cancel(call.events[0].id, "session") == "cancelled"
    assert (await counted(queue)).all().left == {}


async def test_an_end_that_came_too_late_is_not_counted(queue: Queue, join: Joins) -> None:
    await queue.acquire("d")
    await join()
    (call,), _ = await queue.claim("d")
    await finish(queue, call)
    assert not await finish(queue, call)
    assert (await counted(queue)).all().counts["completed"] == 1


async def test_an_event_that_went_back_is_counted_as_retried_and_its_wait_once(
    queue: Queue, join: Joins
) -> None:
    await queue.acquire("d")
    await join()
    (call,), _ = await queue.claim("d")
    assert await queue.requeue(call.events[0], call, "deaths", 1)
    await queue.free(call)
    (call,), _ = await queue.claim("d")
    await finish(queue, call)
    tally = (await counted(queue)).all()
    assert tally.counts == {"page": 1, "retried": 1, "completed": 1}
    assert sum(tally.wait.values()) == 1


async def test_events_of_a_lost_worker_are_counted_as_retried_and_at_last_as_failed(
    queue: Queue, join: Joins
) -> None:
    await join()
    for attempt in range(MAX_LOSSES):
        await queue.acquire(f"d{attempt}")
        await queue.claim(f"d{attempt}")
        await queue.redis.delete(queue.keys.lease(""))
    await queue.acquire("last")
    tally = (await counted(queue)).all()
    assert tally.counts == {"page": 1, "retried": MAX_LOSSES - 1, "failed": 1}


async def test_batches_are_counted_by_their_size(queue: Queue, join: Joins, configure: Configure) -> None:
    await configure(batch=1, max_batch_size=4)
    for _ in range(6):
        await join(fn="1", batch=8)
    await join(fn="2")
    await queue.acquire("d")
    for _ in range(3):
        calls, _ = await queue.claim("d")
        for call in calls:
            for event in call.events:
                await finish(queue, call, event)
    functions = (await counted(queue)).functions
    assert functions["main", "1"].batch == {4: 1, 2: 1}
    assert functions["main", "1"].mean_batch == 3
    assert functions["main", "2"].batch == {}


async def test_the_highest_numbers_waiting_and_running_are_kept(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(concurrency_count=2)
    for _ in range(5):
        await join()
    await join(lane="side")
    await queue.acquire("d")
    calls, _ = await queue.claim("d")
    for call in calls:
        await finish(queue, call)
    minute = await counted(queue)
    assert (minute.pending, minute.running, minute.calls) == (5, 2, 3)


async def test_a_functions_minute_has_the_most_calls_of_its_group(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(concurrency_count=2)
    for fn, group in (("1", "g"), ("2", "g"), ("2", "g"), ("3", "h")):
        await join(fn=fn, group=group)
    await queue.acquire("d")
    await queue.claim("d")
    minute = await counted(queue)
    assert {fn: tally.running for (_, fn), tally in minute.functions.items()} == {"1": 1, "2": 2, "3": 1}
    assert minute.running == 3


async def test_an_event_costs_the_statistics_few_commands(queue: Queue, join: Joins) -> None:
    """Counted by the server, inside the scripts: the day's and the minute's counters, and the visitor's."""
    await queue.acquire("d")

    async def one() -> None:
        await join()
        (call,), _ = await queue.claim("d")
        await finish(queue, call)

    await one()  # new fields cost more, once a minute
    await queue.redis.config_resetstat()
    for _ in range(10):
        await one()
    used = await queue.redis.info("commandstats")
    assert used["cmdstat_hincrby"]["calls"] <= 10 * (6 + 4)  # four count what it keeps


def test_a_stranger_who_invents_functions_does_not_make_rows_without_end() -> None:
    fields = {f"page::main:{number}".encode(): b"1" for number in range(1000)}
    minute = parse_minute(fields)
    assert len(minute.functions) == MOST_FUNCTIONS + 1
    assert minute.functions[OTHERS].counts["page"] == 1000 - MOST_FUNCTIONS


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(COUNTS), st.sampled_from(["main", "side"]), names), st.integers(1, 99)
    )
)
def test_every_field_is_read_back(counts: dict[tuple[str, str, str], int]) -> None:
    fields = {f"{what}::{lane}:{fn}".encode(): str(n).encode() for (what, lane, fn), n in counts.items()}
    minute = parse_minute(fields)
    for (what, lane, fn), number in counts.items():
        assert minute.functions[lane, fn].counts[what] == number


async def test_the_counters_expire_by_themselves(redis: Redis, queue: Queue, join: Joins) -> None:
    """Where no rollup ever runs."""
    await join()
    (number,) = await redis.smembers(queue.keys.minutes)
    assert await redis.ttl(queue.keys.minutes) > 86400
    assert await redis.ttl(queue.keys.minute(int(number))) > 86400
