"""What the platform and its Spaces cost while nobody calls."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from dataclasses import dataclass

from hardware.runtimes.docker import DockerRuntime
from tests.bench.processes import cpu_seconds, proportional_bytes
from tests.bench.sides import PARTS, Bench

MORE = 4  # Spaces, besides the bench's own
SETTLES_S, WATCHED_S = 15.0, 30.0
MIB = 1024 * 1024


@dataclass(frozen=True)
class Footprint:
    """Of some processes: cores used, and memory in bytes (PSS)."""

    cores: float
    memory: int

    def __str__(self) -> str:
        return f"{self.cores:.1%} | {self.memory / MIB:.0f} MiB"


#: What they may use.
PLATFORM, SPACE = Footprint(0.03, 500 * MIB), Footprint(0.009, 115 * MIB)


def footprint(bench: Bench) -> None:
    """The platform without its apps, and an idle app: as a Space, and by itself."""
    platform, _ = _watch(bench)
    for number in range(MORE):
        bench.another(number)
    with_more, apps = _watch(bench)
    rows = {
        "platform, one Space": (platform, PLATFORM),
        f"platform, {MORE + 1} Spaces": (with_more, None),
        "an app as a Space": (Footprint(apps.cores / (MORE + 1), apps.memory // (MORE + 1)), SPACE),
        "the same app by itself": (_measured([bench.alone_pid]), None),
    }
    print("\n| idle | of a core | memory (PSS) | at most |\n|---|---|---|---|")
    for name, (found, most) in rows.items():
        at_most = str(most).replace(" |", ",") if most else ""
        print(f"| {name} | {found} | {at_most} |", flush=True)


def _watch(bench: Bench) -> tuple[Footprint, Footprint]:
    """The platform's own processes, and its apps."""
    time.sleep(SETTLES_S)
    apps = bench.platform.pids(PARTS["app"]) or _in_containers(bench)
    others = set(bench.platform.pids("")) - set(apps)
    return _measured(others), _measured(apps)


def _in_containers(bench: Bench) -> list[int]:
    """The processes of the replicas, without containers that wait for a start."""
    engine = DockerRuntime(bench.platform.home)
    tables = [engine.client.api.top(one.runtime_id) for one in engine.running().values()]
    return [int(row[table["Titles"].index("PID")]) for table in tables for row in table["Processes"]]


def _measured(pids: Collection[int]) -> Footprint:
    """Of those that are there all the time."""
    before = {pid: cpu_seconds(pid) for pid in pids}
    time.sleep(WATCHED_S)
    used, memory = 0.0, 0
    for pid, then in before.items():
        with contextlib.suppress(FileNotFoundError):
            used, memory = used + cpu_seconds(pid) - then, memory + proportional_bytes(pid)
    return Footprint(used / WATCHED_S, memory)
