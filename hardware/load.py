"""The load of a node over time: cores, memory and disk of its machine, and its GPUs. Sampled with the
replicas (`hardware.usage`), and kept by the minute for a day in Redis."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from django.conf import settings

from hardware import devices, redis_keys
from hardware.tiers import GIB
from infra.redis_clients import sync_redis

KEPT_S = 24 * 3600
#: Range -> seconds of a point.
STEPS = {"1h": 60, "24h": 300}
SPANS = {"1h": 3600, "24h": KEPT_S}
KERNEL = Path("/proc")


class Sample(NamedTuple):
    """The machine at one moment, or on average: cores that work, bytes of memory and disk in use, and of each
    GPU by UUID (part of the time in which it worked, bytes in use)."""

    cores: float
    memory_bytes: float
    disk_bytes: float
    gpus: dict[str, list[float | None]]


class Sampler:
    """Samples this machine for the node of this id."""

    def __init__(self, node_id: int) -> None:
        self._node_id = node_id
        self._has_gpus = bool(devices.found())
        self._before: tuple[float, float] | None = None
        self._minute, self._samples = 0, list[Sample]()

    def sample(self) -> None:
        """Sample once, and keep the minute that is over."""
        minute = int(time.time()) // 60
        if minute != self._minute and self._samples:
            self._keep()
        self._minute = minute
        now, busy = time.monotonic(), busy_seconds()
        if self._before is not None:
            cores = max(0.0, (busy - self._before[1]) / max(now - self._before[0], 0.001))
            gpus = devices.loads() if self._has_gpus else {}
            disk = shutil.disk_usage(settings.SPACEPORT_HOME).used
            self._samples.append(
                Sample(cores, _memory_bytes(), disk, {uuid: list(load) for uuid, load in gpus.items()})
            )
        self._before = now, busy

    def _keep(self) -> None:
        pipe, name = sync_redis().pipeline(transaction=False), redis_keys.load(self._node_id)
        pipe.zadd(name, {json.dumps([self._minute, *mean(self._samples)]): self._minute})
        pipe.zremrangebyscore(name, 0, self._minute - KEPT_S // 60)
        pipe.expire(name, KEPT_S)
        pipe.execute()
        self._samples = []


def mean(samples: list[Sample]) -> Sample:
    """Their average; of a GPU the average of what is known of it."""
    uuids = {uuid for sample in samples for uuid in sample.gpus}
    known = {uuid: [one.gpus[uuid] for one in samples if uuid in one.gpus] for uuid in sorted(uuids)}
    return Sample(
        round(fmean(one.cores for one in samples), 3),
        round(fmean(one.memory_bytes for one in samples)),
        round(fmean(one.disk_bytes for one in samples)),
        {uuid: [_mean(part) for part in zip(*loads, strict=True)] for uuid, loads in known.items()},
    )


def _mean(values: tuple[float | None, ...]) -> float | None:
    there = [value for value in values if value is not None]
    return round(fmean(there), 3) if there else None


def last(node_id: int) -> Sample | None:
    """Its newest minute, if that is not long ago."""
    minutes = _minutes(node_id, within_s=180)
    return minutes[max(minutes)] if minutes else None


def history(node_id: int, name: str) -> dict[str, Any]:
    """The range `name` (`STEPS`) for charts: equally long lists, null where nothing was measured."""
    step_s, minutes = STEPS[name], _minutes(node_id, within_s=SPANS[name])
    end = int(time.time()) // step_s
    points = range(end - SPANS[name] // step_s, end)
    found: dict[int, list[Sample]] = {point: [] for point in points}
    for minute, sample in minutes.items():
        found.get(minute * 60 // step_s, []).append(sample)
    means = [mean(found[point]) if found[point] else None for point in points]
    return {
        "range": name,
        "step_s": step_s,
        "series": {
            "time": [point * step_s for point in points],
            "cores": [one and one.cores for one in means],
            "memory_gb": [one and round(one.memory_bytes / GIB, 3) for one in means],
            "disk_gb": [one and round(one.disk_bytes / GIB, 3) for one in means],
            "gpus_busy": [one and _sum(one, 0) for one in means],
            "gpu_memory_gb": [one and _sum(one, 1, GIB) for one in means],
        },
    }


def _sum(sample: Sample, part: int, unit: int = 1) -> float | None:
    """Of all its GPUs."""
    there = [value for load in sample.gpus.values() if (value := load[part]) is not None]
    return round(sum(there) / unit, 3) if there else None


def _minutes(node_id: int, within_s: int) -> dict[int, Sample]:
    since = int(time.time() - within_s) // 60
    stored: list[bytes] = sync_redis().zrangebyscore(redis_keys.load(node_id), since, "+inf")
    return {minute: Sample(*values) for minute, *values in map(json.loads, stored)}


def busy_seconds() -> float:
    """Seconds that all cores together have worked since the machine started (proc_stat(5))."""
    user, nice, system, _idle, _iowait, irq, softirq, *_ = (
        int(ticks) for ticks in (KERNEL / "stat").read_text().splitlines()[0].split()[1:]
    )
    return (user + nice + system + irq + softirq) / 100  # the kernel's USER_HZ


def _memory_bytes() -> int:
    """In use, without what the kernel could free (proc_meminfo(5))."""
    lines = (line.split() for line in (KERNEL / "meminfo").read_text().splitlines())
    there = {line[0]: int(line[1]) * 1024 for line in lines}
    return there["MemTotal:"] - there["MemAvailable:"]
