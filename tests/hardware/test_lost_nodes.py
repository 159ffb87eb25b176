"""A node that dies: the scheduler frees what it ran, whatever its tier, and drops the hints for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from hardware import nodes, redis_keys, replicas
from hardware.models import Node, Replica
from hardware.upkeep import lost
from infra.redis_clients import sync_redis
from spaces.models import Space

State = Replica.State


class Clock:
    """The scheduler's."""

    now = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    made.now = time.time()
    monkeypatch.setattr(time, "time", lambda: made.now)
    sync_redis().delete(redis_keys.down())
    yield made
    sync_redis().delete(redis_keys.down())


def node(name: str, tier: str, silent_s: float) -> Node:
    return Node.objects.create(
        name=name, tiers={tier: {"simulated": True}}, runtime="process",
        heartbeat_at=timezone.now() - timedelta(seconds=silent_s),
    )  # fmt: skip


def replica(space: Space, on: Node, tier: str, *, wanted: bool = True) -> Replica:
    return Replica.objects.create(
        space=space, tier=tier, spec={}, node=on, state=State.READY, address="10.0.0.9:7860",
        runtime_id="gone", wanted=wanted,
    )  # fmt: skip


@pytest.fixture
def news(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Replicas of which the Spaces' side heard."""
    found: list[int] = []
    monkeypatch.setattr(replicas, "publish_change", found.append)
    monkeypatch.setattr(replicas, "hint", lambda _: None)
    return found


def looks(clock: Clock, *pauses_s: float) -> None:
    for pause_s in pauses_s:
        clock.now += pause_s
        lost.release_lost()


def test_what_the_only_node_of_a_tier_ran_waits_for_another_and_says_why(
    space: Space, clock: Clock, news: list[int]
) -> None:
    dead = node("t4a", "t4", nodes.DOWN_AFTER_S + 1)
    row, unwanted = replica(space, dead, "t4"), replica(space, dead, "t4", wanted=False)
    looks(clock, 0, 5)
    row.refresh_from_db()
    assert (row.state, row.node, row.address, row.runtime_id) == (State.PENDING, None, "", "")
    assert row.reason == (
        "Its node was lost. No node with NVIDIA T4 hardware is up. The Space starts by itself when one comes."
    )
    assert news == [row.pk]
    unwanted.refresh_from_db()
    assert unwanted.state == State.STOPPED


def test_one_that_others_can_run_is_started_there(space: Space, clock: Clock, news: list[int]) -> None:
    row = replica(space, node("t4a", "t4", 60), "t4")
    node("t4b", "t4", 0)
    looks(clock, 0, 5)
    row.refresh_from_db()
    assert row.reason == "Its node was lost. It is started on another one."


def test_hints_for_a_dead_node_do_not_grow(space: Space, clock: Clock, news: list[int]) -> None:
    node("t4a", "t4", 60)
    looks(clock, 0)
    for _ in range(5):
        sync_redis().lpush("hw.t4@t4a", *["{}"] * 99)
        looks(clock, 5)
        assert sync_redis().llen("hw.t4@t4a") == 0


@pytest.mark.parametrize("pauses_s", [(0,), (0, 0, 0.1), (0, 60), (0, 20, 0.5)])
def test_nobody_is_lost_who_was_not_seen_down_for_a_while_on_end(
    space: Space, clock: Clock, news: list[int], pauses_s: tuple[float, ...]
) -> None:
    """Not by a message that came twice, nor after the scheduler itself, or PostgreSQL, was away."""
    row = replica(space, node("slow", "cpu", 60), "cpu")
    for pause_s in pauses_s:
        if pause_s > lost.REMEMBERED_S:
            sync_redis().delete(redis_keys.down())  # as Redis does by then
        looks(clock, pause_s)
    row.refresh_from_db()
    assert (row.state, news) == (State.READY, [])


def test_one_that_reported_between_two_looks_is_not_lost(space: Space, clock: Clock, news: list[int]) -> None:
    slow = node("slow", "cpu", 60)
    row = replica(space, slow, "cpu")
    looks(clock, 0)
    Node.objects.filter(pk=slow.pk).update(heartbeat_at=timezone.now() - timedelta(seconds=30))
    looks(clock, 5)
    row.refresh_from_db()
    assert row.state == State.READY
