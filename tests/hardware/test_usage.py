"""What replicas use is looked at by their agent and kept for a day."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from hardware import nodes, redis_keys, usage
from hardware.models import Replica
from hardware.runtimes.base import Stats
from infra.redis_clients import sync_redis

if TYPE_CHECKING:
    from spaces.models import Space


class Measured:
    """A runtime whose one replica uses what it is told."""

    name = "process"

    def __init__(self) -> None:
        self.memory, self.cpu_seconds = 0, 0.0

    def stats(self, runtime_id: str) -> Stats | None:
        if runtime_id != "7-1":
            return None
        return Stats(memory_bytes=self.memory, memory_limit_bytes=0, cpu_seconds=self.cpu_seconds)


class Clock:
    """Both of `time`'s clocks, moved by hand."""

    def __init__(self) -> None:
        self.now = time.time() // 60 * 60

    def time(self) -> float:
        return self.now

    monotonic = time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(usage, "time", made)
    return made


def test_a_minute_keeps_the_most_memory_and_the_cores_on_average_and_at_their_most(
    space: Space, clock: Clock
) -> None:
    sync_redis().delete(redis_keys.usage(space.pk))
    node = nodes.register("here", {"cpu": False}, "process")
    about: dict[str, Any] = {"space_id": space.pk, "tier": "cpu", "node": node, "spec": {"json": "{}"}}
    Replica.objects.create(**about, state=Replica.State.READY, runtime_id="7-1")
    Replica.objects.create(**about, state=Replica.State.READY, runtime_id="gone")
    runtime = Measured()
    sampler = usage.Sampler(node.pk, runtime)  # type: ignore[arg-type]
    for memory, cores in ((100, 0.0), (300, 0.5), (200, 1.5), (100, 1.0)):
        runtime.memory, runtime.cpu_seconds = memory, runtime.cpu_seconds + 15 * cores
        sampler.sample()
        clock.now += 15
    assert usage.of(space.pk) == []  # the minute goes on
    runtime.cpu_seconds = 0.0  # a process of it ended and took its time with it
    sampler.sample()
    (minute,) = usage.of(space.pk)
    assert (minute.memory_bytes, minute.cores, minute.cores_peak) == (300, 1.0, 1.5)
    clock.now += 60
    sampler.sample()
    assert [use.cores for use in usage.of(space.pk)] == [1.0, 0.0]
    clock.now += 24 * 3600
    assert usage.of(space.pk) == []
    assert sync_redis().ttl(redis_keys.usage(space.pk)) > 0


def test_slots_are_told_by_nodes_that_told_them_lately() -> None:
    usage.publish_slots("one", busy=2, slots=64)
    assert usage.slots(["one", "silent"]) == {"one": (2, 64)}
    assert usage.slots([]) == {}
    assert 0 < sync_redis().ttl(redis_keys.slots("one")) <= usage.SLOTS_KEPT_S
