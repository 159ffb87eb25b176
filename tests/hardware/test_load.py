"""The load of a node's machine is sampled, and kept by the minute for a day."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from hardware import devices, load, redis_keys
from hardware.devices import Load
from hardware.load import Sample
from infra.redis_clients import sync_redis

NODE = 987_654
MEMINFO = "MemTotal: 16 kB\nMemFree: 1 kB\nMemAvailable: 12 kB\n"


class Machine:
    def __init__(self, proc: Path) -> None:
        self.now, self.ticks, self.proc = time.time() // 60 * 60, 0.0, proc
        (proc / "meminfo").write_text(MEMINFO)

    def passes(self, seconds: float, cores: float) -> None:
        self.now += seconds
        self.ticks += seconds * cores * 100
        (self.proc / "stat").write_text(f"cpu  {int(self.ticks)} 0 0 77 5 0 0 0 0 0\n")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any) -> Any:
    settings.SPACEPORT_HOME = tmp_path
    made = Machine(tmp_path)
    monkeypatch.setattr(load, "KERNEL", tmp_path)
    monkeypatch.setattr(time, "time", lambda: made.now)
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    yield made
    sync_redis().delete(redis_keys.load(NODE))


def test_a_minute_is_the_mean_of_its_samples_and_is_kept_for_a_day(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "found", lambda: ["a card"])
    monkeypatch.setattr(devices, "loads", lambda: {"GPU-1": Load(0.5, 2 * 1024**3)})
    sampler = load.Sampler(NODE)
    for cores in (9, 1, 2, 3):
        machine.passes(14, cores)
        sampler.sample()
    machine.passes(14, 0)
    sampler.sample()
    found = load.last(NODE)
    assert found is not None
    assert (found.cores, found.memory_bytes, found.gpus) == (2, 4096, {"GPU-1": [0.5, 2 * 1024**3]})
    chart = load.history(NODE, "1h")
    at = chart["series"]["time"].index(int(machine.now // 60 * 60) - 60)
    assert {name: values[at] for name, values in chart["series"].items() if name != "disk_gb"} == {
        "time": chart["series"]["time"][at], "cores": 2, "memory_gb": 0, "gpus_busy": 0.5, "gpu_memory_gb": 2
    }  # fmt: skip
    assert chart["series"]["cores"][at - 1] is None
    assert len(load.history(NODE, "24h")["series"]["time"]) == 288
    machine.passes(25 * 3600, 0)
    sampler.sample()
    machine.passes(60, 0)
    sampler.sample()
    assert sync_redis().zcard(redis_keys.load(NODE)) == 1
    assert 0 < sync_redis().ttl(redis_keys.load(NODE)) <= load.KEPT_S


def test_a_mean_is_of_what_is_known() -> None:
    samples = [Sample(1, 10, 5, {"a": [None, 4]}), Sample(3, 20, 5, {"a": [0.5, 6], "b": [None, None]})]
    assert load.mean(samples) == Sample(2, 15, 5, {"a": [0.5, 5], "b": [None, None]})
