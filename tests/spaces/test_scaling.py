"""A range of replicas, round by round: what is ordered for whom, what ends, and what the owner reads."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from msgspec import structs
from redis.asyncio import Redis

from hardware import logs
from hardware.models import HardwareUse, Node, Replica
from hardware.tiers import metering
from infra.redis_clients import sync_redis
from queueing.events import new_channel, new_event_id, session_key
from queueing.store.keys import SpaceKeys
from queueing.store.queue import Queue
from spaces import lifecycle, publishing
from spaces.models import ReplicaRange, ScaleStep, Space, Stage
from spaces.scaling import follow, memory, ranges, scaler, words
from spaces.scaling.wanted import Decision
from tests.events import a_join
from tests.spaces.test_following import answering
from tests.spaces.test_replicas import a_node, a_space, becomes, beside, others

State = Replica.State
CALL_S = 2.0


@pytest.fixture(scope="module")
def addresses() -> Iterator[list[str]]:
    with answering(6) as found:
        yield found


@pytest.fixture
def space(transactional_db: None, addresses: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Space]:
    """It may run on one to four replicas, and its first one serves; a start takes 4 s, a call 2 s."""
    a_node(monkeypatch)
    found = measured("many", addresses[0])
    ranges.set_range(found, 1, 4, 10.0, 30.0)
    yield found
    for one in Space.objects.select_related("owner"):
        publishing.withdraw(one)


def measured(name: str, address: str) -> Space:
    """A Space with a start and calls that are known."""
    space = a_space(name, address)
    first = space.replica
    assert first is not None
    assert first.ready_at is not None
    Replica.objects.filter(pk=first.pk).update(created_at=first.ready_at - timedelta(seconds=4))
    sync_redis().hset(SpaceKeys(space.pk).service, "t:0", ",".join([str(CALL_S)] * 20))
    return Space.objects.select_related("replica").get(pk=space.pk)


def come(space: Space, count: int, session: str = "") -> list[str]:
    """So many events of visitors of their own, or of one session."""

    async def do() -> list[str]:
        async with Redis.from_url(os.environ["REDIS_URL"]) as redis:
            found = []
            for _ in range(count):
                channel = session or new_channel()
                event_id = new_event_id(channel, "0")
                await Queue(redis, space.pk).join(a_join(channel, event_id=event_id, fn="0", session=channel))
                found.append(event_id)
            return found

    return asyncio.run(do())


def go(space: Space) -> None:
    """All that waits is gone."""
    client, k = sync_redis(), SpaceKeys(space.pk)
    client.delete(k.wait("main"), k.next("main"), k.lines, k.shares("main"))


def later(space: Space, seconds: float) -> None:
    """So much later: what the last round saw is that old."""
    seen = memory.of([space.pk])[space.pk]
    older = {number: at - seconds for number, at in seen.needed_at.items()}
    memory.keep({space.pk: structs.replace(seen, at=seen.at - seconds, needed_at=older)})


def count(space: Space) -> int:
    return Space.objects.get(pk=space.pk).replica_count


def ready(space: Space, addresses: list[str]) -> None:
    for one, address in zip(beside(space), addresses[1:], strict=False):
        becomes(one, state=State.READY, address=address, ready_at=timezone.now())


def test_a_burst_orders_as_many_as_bring_it_within_the_goal(space: Space) -> None:
    come(space, 3)
    scaler.scale()
    assert (count(space), beside(space)) == (1, [])
    come(space, 9)
    scaler.scale()
    assert (count(space), len(beside(space))) == (4, 3)
    scaler.scale()
    assert len(beside(space)) == 3, "they come already"
    step = ScaleStep.objects.get()
    assert (step.before, step.after) == (1, 4)
    assert "of waiting at p90, goal 10 s" in step.reason
    assert step.reason in logs.tail("run", space.pk)[-1].text
    row = ReplicaRange.objects.get()
    assert (row.added, row.removed) == (3, 0)


def test_what_is_not_needed_ends_after_the_quiet_time_and_finishes_first(
    space: Space, addresses: list[str]
) -> None:
    come(space, 12)
    scaler.scale()
    ready(space, addresses)
    go(space)
    scaler.scale()
    later(space, 25)
    scaler.scale()
    assert count(space) == 4, "for 30 s nothing ends"
    later(space, 6)
    scaler.scale()
    assert count(space) == 1
    assert others(space) == set(), "no visitor is sent there"
    rows = space.replicas.filter(beside__isnull=False)
    assert {(row.wanted, row.set_aside_at is not None) for row in rows} == {(True, True)}, "calls go on there"
    assert ScaleStep.objects.latest("pk").reason == "1 replica instead of 4: more were not needed for 30 s."
    assert ReplicaRange.objects.get().removed == 3


def test_one_that_is_about_to_end_serves_again(space: Space, addresses: list[str]) -> None:
    come(space, 7)
    scaler.scale()
    ready(space, addresses)
    [one] = beside(space)
    Replica.objects.update(node=Node.objects.get())
    follow.set_count(Space.objects.get(pk=space.pk), 1)
    assert (beside(space), others(space)) == ([], set())
    follow.set_count(Space.objects.get(pk=space.pk), 3)
    assert others(space) == {one.pk}
    assert [row.state for row in beside(space)] == [State.READY, State.PENDING], "one more is ordered"
    Node.objects.update(draining_since=timezone.now())
    follow.set_count(Space.objects.get(pk=space.pk), 1)
    follow.set_count(Space.objects.get(pk=space.pk), 2)
    assert one not in beside(space), "its node is to be empty"


def test_one_session_that_sends_much_gets_none_more(space: Space) -> None:
    """Its calls may run where its session is, and nowhere else."""
    session = new_channel()
    pin = SpaceKeys(space.pk).pin(session_key(session))
    sync_redis().set(pin, space.replica_id or 0, ex=60)
    come(space, 40, session)
    scaler.scale()
    assert count(space) == 1
    come(space, 4)
    scaler.scale()
    assert count(space) > 1, "others wait behind it, and may go elsewhere"


def test_two_schedulers_at_once_take_one_step(space: Space) -> None:
    come(space, 12)
    row = ReplicaRange.objects.select_related("space__owner", "space__replica").get()
    scaler.scale()
    decided = ScaleStep.objects.get()
    memory.forget(space.pk)
    assert row.space.replica_count == 1, "as the other one read it"
    late = Decision(decided.after, 22.0, {})
    scaler._step(row, late)
    assert (ScaleStep.objects.count(), count(space), len(beside(space))) == (1, 4, 3)


def test_one_that_died_after_the_number_was_changed_is_caught_up_with(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    come(space, 12)

    def dies(_: int) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(follow, "follow", dies)
        scaler.scale()
    assert (count(space), beside(space)) == (4, [])
    follow.reconcile()
    assert len(beside(space)) == 3


def test_a_range_that_its_owner_left_meanwhile_changes_nothing(space: Space) -> None:
    row = ReplicaRange.objects.select_related("space__owner", "space__replica").get()
    follow.set_count(Space.objects.get(pk=space.pk), 2)
    scaler._step(row, Decision(4, 22.0, {}))
    assert (count(space), ScaleStep.objects.count()) == (2, 0)


def test_where_one_finds_no_room_no_further_one_is_ordered(space: Space, addresses: list[str]) -> None:
    come(space, 7)
    scaler.scale()
    assert count(space) == 2
    becomes(beside(space)[0], waits={"place": 1, "of": 1, "lacks": "memory_bytes"})
    come(space, 40)
    scaler.scale()
    assert count(space) == 2
    assert "the 2nd waits for memory" in words.of_range(
        Space.objects.get(pk=space.pk), ReplicaRange.objects.get()
    )
    ready(space, addresses)
    becomes(beside(space)[0], waits={})
    scaler.scale()
    assert count(space) == 4


def test_one_that_was_stopped_begins_with_the_least(space: Space) -> None:
    come(space, 12)
    scaler.scale()
    lifecycle.pause(Space.objects.select_related("owner", "replica").get(pk=space.pk))
    scaler.scale()
    assert count(space) == 1


def test_the_cost_does_not_grow_with_others(space: Space, addresses: list[str]) -> None:
    come(space, 3)
    scaler.scale()
    queries, commands = cost()
    measured("fixed", addresses[1])
    for name in ("idle", "asleep"):
        one = measured(name, addresses[2])
        ranges.set_range(one, 1, 3, 10.0)
        if name == "asleep":
            Space.objects.filter(pk=one.pk).update(replica=None, stage=Stage.SLEEPING)
    later_queries, later_commands = cost()
    assert later_queries == queries
    assert later_commands - commands <= 2, "of an idle one only whether it has work"


def cost() -> tuple[int, int]:
    """Queries and commands of a round."""
    client = sync_redis()
    before = client.info("stats")["total_commands_processed"]
    with CaptureQueriesContext(connection) as captured:
        scaler.scale()
    return len(captured), client.info("stats")["total_commands_processed"] - before


def test_each_replica_is_paid_for_from_its_first_moment_to_its_last(
    space: Space, addresses: list[str]
) -> None:
    come(space, 7)
    scaler.scale()
    ready(space, addresses)
    now = timezone.now()
    lead, other = space.replica, beside(space)[0]
    assert lead is not None
    Replica.objects.filter(pk=lead.pk).update(ready_at=now - timedelta(hours=3))
    times: dict[str, Any] = {"ready_at": now - timedelta(hours=2), "ended_at": now - timedelta(hours=1)}
    Replica.objects.filter(pk=other.pk).update(**times)
    metering.count()
    used = sum(use.hours for use in HardwareUse.objects.filter(space_id=space.pk))
    assert used == pytest.approx(3 + 1, abs=0.01)


def test_the_owner_reads_what_it_does_and_why(space: Space, addresses: list[str]) -> None:
    row = ReplicaRange.objects.get()

    def text() -> str:
        return words.of_range(Space.objects.select_related("replica").get(pk=space.pk), row)

    assert text() == "1 of 1 to 4 replicas: nobody waits, goal 10 s."
    come(space, 8)
    scaler.scale()
    assert text() == (
        "1 of 1 to 4 replicas: about 14 s of waiting at p90, goal 10 s; the 2nd starts, ready in about 4 s."
    )
    ready(space, addresses)
    go(space)
    scaler.scale()
    assert "one ends in about" in text()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0, 3, 10.0), "The least is 1 to 10"),
        ((2, 1, 10.0), r"The most is 2 \(the least\) to 10"),
        ((1, 11, 10.0), "to 10 replicas"),
        ((1, 3, 0.0), "The goal for the wait is 0.5 to 3600 seconds"),
        ((1, 3, float("nan")), "The goal for the wait"),
        ((1, 3, 10.0, 0.0), "The time without need is 1 to 86400 seconds"),
    ],
)
def test_no_space_has_such_a_range(space: Space, values: Any, message: str) -> None:
    with pytest.raises(follow.BadCount, match=message):
        ranges.set_range(space, *values)
    row = ReplicaRange.objects.get()
    assert (row.least, row.most) == (1, 4)


def test_a_number_ends_the_range(space: Space) -> None:
    follow.set_count(space, 2)
    assert (ranges.of(space), count(space)) == (None, 2)
    ranges.set_range(space, 3, 5, 10.0)
    assert count(space) == 3
