"""Memory and cores of replicas: sampled every 15 s by their node's agent and kept by the minute for a day in
Redis, for advice. And a node's worker slots and standby processes, for the metrics."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hardware import load, redis_keys
from hardware.models import Replica
from infra.redis_clients import sync_redis

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hardware.runtimes.base import Runtime, Stats

SAMPLE_EVERY_S = 15.0
KEPT_S = 24 * 3600
SLOTS_KEPT_S = 30
RECENT_MINUTES = 60


@dataclass(frozen=True, kw_only=True)
class Use:
    """One minute of a replica: the most memory in bytes; cores on average, and in its busiest 15 s."""

    minute: int  # since 1970
    memory_bytes: int
    cores: float
    cores_peak: float


class Minute:
    """One replica in the minute that goes on."""

    def __init__(self, space_id: int, number: int) -> None:
        self.space_id, self.number = space_id, number
        self.memory_bytes = 0
        self.cores: list[float] = []

    def member(self, replica_id: int) -> str:
        """As it is kept."""
        mean, peak = sum(self.cores) / len(self.cores), max(self.cores)
        return f"{self.number}:{replica_id}:{self.memory_bytes}:{mean:.3f}:{peak:.3f}"


class Sampler:
    """Samples the replicas that this node runs."""

    def __init__(self, node_id: int, runtime: Runtime) -> None:
        self.node_id, self.runtime = node_id, runtime
        self._machine = load.Sampler(node_id)
        self._minutes: dict[int, Minute] = {}
        self._before: dict[
            str, tuple[float, float]
        ] = {}  # runtime_id: time of the last sample, CPU seconds till then

    def sample(self) -> None:
        """Sample all of them and the machine once, and keep the minutes that are over."""
        self._machine.sample()
        rows = Replica.objects.filter(node_id=self.node_id, state=Replica.State.READY, shadow=False)
        seen = {}
        number = int(time.time()) // 60
        self._keep(before=number)
        for replica_id, space_id, runtime_id in rows.values_list("pk", "space_id", "runtime_id"):
            stats = self.runtime.stats(runtime_id)
            if stats is None:
                continue
            now = time.monotonic()
            if (last := self._before.get(runtime_id)) is not None:
                minute = self._minutes.setdefault(replica_id, Minute(space_id, number))
                minute.memory_bytes = max(minute.memory_bytes, stats.memory_bytes)
                minute.cores.append(_cores(last, now, stats))
            seen[runtime_id] = (now, stats.cpu_seconds)
        self._before = seen

    def _keep(self, *, before: int) -> None:
        over = {replica: minute for replica, minute in self._minutes.items() if minute.number < before}
        if not over:
            return
        pipe = sync_redis().pipeline(transaction=False)
        for replica_id, minute in over.items():
            name = redis_keys.usage(minute.space_id)
            pipe.zadd(name, {minute.member(replica_id): minute.number})
            pipe.zremrangebyscore(name, 0, before - KEPT_S // 60)
            pipe.expire(name, KEPT_S)
        pipe.execute()
        for replica_id in over:
            del self._minutes[replica_id]


def _cores(last: tuple[float, float], now: float, stats: Stats) -> float:
    """Cores used since the last sample. Ended processes take their CPU time with them, so at least 0."""
    at, seconds = last
    return max(0.0, (stats.cpu_seconds - seconds) / (now - at))


def of(space_id: int) -> list[Use]:
    """The minutes of the last 24 hours in which this Space ran, oldest first; of several replicas each."""
    since = int(time.time() - KEPT_S) // 60
    found: list[bytes] = sync_redis().zrangebyscore(redis_keys.usage(space_id), since, "+inf")
    return [_use(raw.decode()) for raw in found]


def recent(space_ids: Iterable[int]) -> dict[int, float]:
    """Core-minutes that each Space used in the last minutes in which it ran, of this day."""
    pipe, ids = sync_redis().pipeline(transaction=False), list(space_ids)
    for space_id in ids:
        pipe.zrange(redis_keys.usage(space_id), -RECENT_MINUTES, -1)
    answers = pipe.execute()
    return {
        space_id: sum(_use(raw.decode()).cores for raw in members)
        for space_id, members in zip(ids, answers, strict=True)
    }


def _use(member: str) -> Use:
    minute, _, memory, cores, peak = member.split(":")
    return Use(minute=int(minute), memory_bytes=int(memory), cores=float(cores), cores_peak=float(peak))


def publish_slots(node: str, *, busy: int, slots: int) -> None:
    """Store how many slots the node's worker has, and how many are taken."""
    sync_redis().set(redis_keys.slots(node), f"{busy}/{slots}", ex=SLOTS_KEPT_S)


def slots(nodes: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Node to (busy, all) slots of its worker; nodes without a recent value are left out."""
    names = list(nodes)
    values: list[Any] = sync_redis().mget([redis_keys.slots(name) for name in names]) if names else []
    return {
        name: (int(busy), int(all_of_them))
        for name, raw in zip(names, values, strict=True)
        if raw
        for busy, all_of_them in (raw.decode().split("/"),)
    }


def publish_standby(node: str, memory_bytes: int) -> None:
    """Store how much memory the node's standby processes have."""
    sync_redis().set(redis_keys.standby(node), memory_bytes, ex=SLOTS_KEPT_S)


def standby(nodes: Iterable[str]) -> dict[str, int]:
    """Node to bytes of its standby processes; nodes without a recent value are left out."""
    names = list(nodes)
    stored: list[Any] = sync_redis().mget([redis_keys.standby(name) for name in names]) if names else []
    return {name: int(raw) for name, raw in zip(names, stored, strict=True) if raw is not None}
