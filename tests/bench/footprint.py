"""What the platform and its Spaces cost while nobody calls."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from dataclasses import dataclass

from tests.bench.processes import cpu_seconds, memory_bytes
from tests.bench.sides import PARTS, Bench

MORE = 4  # Spaces, besides the bench's own
SETTLES_S, WATCHED_S = 15.0, 30.0
MIB = 1024 * 1024


@dataclass(frozen=True)
class Footprint:
    """Of some processes: cores used, and resident memory in bytes."""

    cores: float
    memory: int


def footprint(bench: Bench) -> None:
    """The platform without its apps, and an idle app: as a Space, and by itself."""
    platform, _ = _watch(bench)
    for number in range(MORE):
        bench.another(number)
    with_more, apps = _watch(bench)
    rows = {
        "platform, one Space": platform,
        f"platform, {MORE + 1} Spaces": with_more,
        "an app as a Space": Footprint(apps.cores / (MORE + 1), apps.memory // (MORE + 1)),
        "the same app by itself": _measured([bench.alone_pid]),
    }
    print("\n| idle | of a core | resident memory |\n|---|---|---|")
    for name, found in rows.items():
        print(f"| {name} | {found.cores:.1%} | {found.memory / MIB:.0f} MiB |", flush=True)


def _watch(bench: Bench) -> tuple[Footprint, Footprint]:
    """The platform's own processes, and its apps."""
    time.sleep(SETTLES_S)
    apps = bench.platform.pids(PARTS["app"])
    others = set(bench.platform.pids("")) - set(apps)
    return _measured(others), _measured(apps)


def _measured(pids: Collection[int]) -> Footprint:
    """Of those that are there all the time."""
    before = {pid: cpu_seconds(pid) for pid in pids}
    time.sleep(WATCHED_S)
    used, memory = 0.0, 0
    for pid, then in before.items():
        with contextlib.suppress(FileNotFoundError):
            used, memory = used + cpu_seconds(pid) - then, memory + memory_bytes(pid)
    return Footprint(used / WATCHED_S, memory)
