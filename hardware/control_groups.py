"""What a process's control group uses, read from the kernel (cgroups(7), versions 2 and 1)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

GROUPS = Path("/sys/fs/cgroup")
PROCESSES = Path("/proc")


class Use(NamedTuple):
    """`memory_bytes`: without what the kernel could free at once; `cpu_seconds`: since the group was made."""

    memory_bytes: int
    cpu_seconds: float


def use_of(pid: int, name: str) -> Use | None:
    """Of the group that this process is in; None where it cannot be read, or its path has not this name in
    it: then the process is one of another machine's."""
    try:
        places = _places(pid, name)
        if "memory" in places:
            memory, cpu = (GROUPS / kind / places[kind] for kind in ("memory", "cpuacct"))
            used, cached = _number(memory / "memory.usage_in_bytes"), "total_inactive_file"
            seconds = _number(cpu / "cpuacct.usage") / 1e9
        else:
            memory = GROUPS / places[""]
            used, cached = _number(memory / "memory.current"), "inactive_file"
            seconds = _table(memory / "cpu.stat")["usage_usec"] / 1e6
        return Use(max(used - _table(memory / "memory.stat")[cached], 0), seconds)
    except (OSError, KeyError, ValueError):
        return None


def _places(pid: int, name: str) -> dict[str, str]:
    """By controller, "" for version 2: where the group is."""
    lines = (PROCESSES / str(pid) / "cgroup").read_text().splitlines()
    parts = [line.split(":", 2) for line in lines]
    return {kind: path.lstrip("/") for _, kinds, path in parts for kind in kinds.split(",") if name in path}


def _number(path: Path) -> int:
    return int(path.read_text())


def _table(path: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}
