"""What the queue's scripts count, that it is stored once, and what is read back."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis as sync
from django.db import DatabaseError, OperationalError
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from queueing import connections, rollup, stats, totals
from queueing.counters import COUNTS, MOST_FUNCTIONS, OTHERS, Minute, Tally, read_minute
from queueing.errors import ApiClosed, QueueFull, Refused
from queueing.events import Accepted
from queueing.histograms import bucket_of
from queueing.keys import SpaceKeys
from queueing.models import QueueMinute
from queueing.queue import MAX_LOSSES, Queue
from spaces.models import Space
from tests.people import make_people
from tests.queueing.test_scripts import finish

Joins = Callable[..., Awaitable[Accepted]]
Configure = Callable[..., Awaitable[None]]


async def counted(queue: Queue) -> Minute:
    """Everything counted for this Space that is not stored, as one minute."""
    numbers = await queue.redis.smembers(queue.keys.minutes)
    together = Minute()
    for number in numbers:
        minute = read_minute(await queue.redis.hgetall(queue.keys.minute(int(number))))
        for fn, tally in minute.functions.items():
            together.functions.setdefault(fn, Tally()).add(tally)
        for what in ("pending", "running", "calls"):
            setattr(together, what, max(getattr(together, what), getattr(minute, what)))
    return together


# --- what is counted --------------------------------------------------------------------------------


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
        await queue.redis.delete(queue.keys.lease)
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
    minute = read_minute(fields)
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
    minute = read_minute(fields)
    for (what, lane, fn), number in counts.items():
        assert minute.functions[lane, fn].counts[what] == number


# --- what is stored ---------------------------------------------------------------------------------


@pytest.fixture
def space(settings: Any, tmp_path: Any, db: None) -> Space:
    settings.SPACEPORT_HOME = tmp_path
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return Space.objects.create(owner=make_people().lab, name="demo", sdk="gradio")


@pytest.fixture
def server() -> Any:
    client = connections.sync_redis()
    client.flushdb()
    yield client
    client.flushdb()


NOW = 0


@pytest.fixture(autouse=True)
def this_minute() -> None:
    """NOW, for each test anew: the run takes minutes."""
    global NOW
    NOW = int(time.time()) // 60


def put(server: sync.Redis, space: Space, minute: int, **fields: int) -> None:
    """A minute as the scripts leave it; `__` stands for a colon."""
    k = SpaceKeys(space.pk)
    server.hset(k.minute(minute), mapping={name.replace("__", ":"): n for name, n in fields.items()})
    server.expire(k.minute(minute), 3600)
    server.sadd(k.minutes, minute)


def rows(space: Space) -> list[tuple[Any, ...]]:
    found = QueueMinute.objects.filter(space=space).order_by("minute", "lane", "fn")
    return list(found.values_list("minute", "lane", "fn", "page", "completed", "service", "pending"))


def at(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)


def test_minutes_that_are_over_become_rows_and_leave_redis(server: sync.Redis, space: Space) -> None:
    put(server, space, NOW - 5, page____main__0=3, completed__20__main__0=2, pending=4)
    put(server, space, NOW, page____main__0=1)
    assert rollup.store([space.pk]) == 1
    assert rows(space) == [
        (at(NOW - 5), "", "", 0, 0, {}, 4),
        (at(NOW - 5), "main", "0", 3, 2, {"20": 2}, 0),
    ]
    k = SpaceKeys(space.pk)
    assert not server.exists(k.minute(NOW - 5))
    assert server.smembers(k.minutes) == {str(NOW).encode()}


def test_a_minute_is_left_alone_until_a_minute_after_its_end(server: sync.Redis, space: Space) -> None:
    seconds, _ = server.time()
    put(server, space, seconds // 60 - 1, page____main__0=1)
    assert rollup.store([space.pk]) == 0


def test_a_rollup_that_dies_before_redis_forgets_doubles_nothing(
    server: sync.Redis, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(server, space, NOW - 5, page____main__0=3, wait__9__main__0=3)

    def die(minute: Minute) -> dict[str, int]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(totals, "changes", die)
        with pytest.raises(KeyboardInterrupt):
            rollup.store([space.pk])
    assert totals.read([space.pk])[space.pk].counts["page"] == 3
    before = rows(space)
    assert rollup.store([space.pk]) == 1
    assert rows(space) == before
    assert before[0][3] == 3
    assert totals.read([space.pk])[space.pk].counts["page"] == 3


def test_two_rollups_at_once_count_a_minute_once(server: sync.Redis, space: Space) -> None:
    """Both have read it before either is done: the slower one folds it a second time."""
    put(server, space, NOW - 5, page____main__0=3)
    rollup._store(space.pk, [NOW - 5])
    put_back = {b"page::main:0": b"3"}
    server.hset(SpaceKeys(space.pk).minute(NOW - 5), mapping=put_back)
    rollup._store(space.pk, [NOW - 5])
    assert [row[3] for row in rows(space)] == [3]
    assert totals.read([space.pk])[space.pk].counts["page"] == 3


def test_nothing_is_lost_while_the_database_is_away(
    server: sync.Redis, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(server, space, NOW - 5, page____main__0=3)

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("the server closed the connection")

    with monkeypatch.context() as patched:
        patched.setattr(QueueMinute.objects, "bulk_create", away)
        with pytest.raises(DatabaseError):
            rollup.store([space.pk])
    assert server.hgetall(SpaceKeys(space.pk).minute(NOW - 5)) == {b"page::main:0": b"3"}
    assert rollup.store([space.pk]) == 1
    assert [row[3] for row in rows(space)] == [3]


@pytest.mark.django_db(transaction=True)  # the refusal comes at the end of the transaction
def test_the_minutes_of_a_deleted_space_do_not_stop_the_others(server: sync.Redis, space: Space) -> None:
    gone = Space(pk=space.pk + 1000)
    put(server, gone, NOW - 5, page____main__0=1)
    put(server, space, NOW - 5, page____main__0=3)
    assert rollup.store([gone.pk, space.pk]) == 2
    assert [row[3] for row in rows(space)] == [3]


def test_rows_are_kept_thirty_days(space: Space) -> None:
    for days in (29, 31):
        QueueMinute.objects.create(space=space, minute=timezone.now() - timedelta(days=days), fn="0")
    assert rollup.forget() == 1
    assert QueueMinute.objects.count() == 1


# --- what is read back ------------------------------------------------------------------------------


def test_stored_and_newest_minutes_are_read_as_one(server: sync.Redis, space: Space) -> None:
    put(server, space, NOW - 5, page____main__0=3, wait__20__main__0=3, pending=7)
    rollup.store([space.pk])
    put(server, space, NOW, api____main__0=2, failed__30__main__0=1, batch__4__main__0=2)
    found = stats.history(space.pk, "1h")
    assert found.total.counts == Counter(page=3, api=2, failed=1)
    assert found.bins[(NOW - 5) * 60].main.wait == {20: 3}
    assert found.bins[(NOW - 5) * 60].pending == 7
    assert found.functions["main", "0"].mean_batch == 4
    assert len(list(found.points())) == 60


def test_a_minute_in_both_places_counts_once(server: sync.Redis, space: Space) -> None:
    put(server, space, NOW - 5, page____main__0=3)
    QueueMinute.objects.create(space=space, minute=at(NOW - 5), lane="main", fn="0", page=3)
    assert stats.history(space.pk, "1h").total.counts["page"] == 3


@pytest.mark.parametrize(("name", "points"), [("1h", 60), ("24h", 288), ("7d", 168), ("30d", 180)])
def test_every_range_adds_up_its_minutes_and_no_others(
    server: sync.Redis, space: Space, name: str, points: int
) -> None:
    back_s, step_s = stats.RANGES[name]
    inside = [NOW - 1, NOW - (back_s - step_s) // 60 + 1]
    for minute in (*inside, NOW - back_s // 60 - step_s // 60):
        QueueMinute.objects.create(
            space=space, minute=at(minute), lane="main", fn="0", page=1, wait={"5": 1}, service={"7": 1}
        )
    found = stats.history(space.pk, name)
    assert found.total.counts["page"] == 2
    assert found.main.wait == {5: 2}
    assert found.functions["main", "0"].service == {7: 2}
    assert sum(one.all.counts["page"] for _, one in found.points()) == 2
    assert len(list(found.points())) == points


def test_another_space_is_not_counted(server: sync.Redis, space: Space) -> None:
    other = Space.objects.create(owner=space.owner, name="other", sdk="gradio", subdomain="other")
    QueueMinute.objects.create(space=other, minute=at(NOW - 1), lane="main", fn="0", page=9)
    assert stats.history(space.pk, "24h").total.arrivals == 0


def test_totals_never_go_back_while_minutes_are_stored(server: sync.Redis, space: Space) -> None:
    """Also with a backlog longer than what is read of it."""
    seen = [0]
    for minute in range(NOW - 200, NOW - 4):
        put(server, space, minute, page____main__0=1)
    seen.append(totals.read([space.pk])[space.pk].counts["page"])
    for start in range(NOW - 200, NOW - 4, 30):
        rollup._store(space.pk, list(range(start, min(start + 30, NOW - 4))))
        seen.append(totals.read([space.pk])[space.pk].counts["page"])
    assert seen == sorted(seen)
    assert seen[-1] == 196


async def test_the_counters_expire_by_themselves(redis: Redis, queue: Queue, join: Joins) -> None:
    """Where no rollup ever runs."""
    await join()
    (number,) = await redis.smembers(queue.keys.minutes)
    assert await redis.ttl(queue.keys.minutes) > 86400
    assert await redis.ttl(queue.keys.minute(int(number))) > 86400
