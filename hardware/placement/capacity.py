"""What this machine lends to Spaces: by environment variables, else what it has, or what its control group
(https://docs.kernel.org/admin-guide/cgroup-v2.html) lets this process use of it."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from hardware.tiers import GIB

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Where the kernel shows control groups, and which one this process is in.
GROUPS, MINE = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")

UNLIMITED = math.inf


def found() -> dict[str, Any]:
    """For `Node.capacity`. `disk_bytes` is what is free now; the factors are those of the cpu tier."""
    home: Path = settings.SPACEPORT_HOME
    home.mkdir(parents=True, exist_ok=True)
    memory_bytes = round(settings.SPACEPORT_NODE_MEMORY_GB * GIB)
    free = shutil.disk_usage(home).free
    return {
        "cores": settings.SPACEPORT_NODE_CORES or cores(),
        "memory_bytes": memory_bytes or int(min(_memory_bytes(), *_limits())),
        "disk_bytes": min(free, round(settings.SPACEPORT_NODE_DISK_GB * GIB) or free),
        "overcommit_cores": max(1.0, settings.SPACEPORT_OVERCOMMIT_CORES),
        "overcommit_memory": max(1.0, settings.SPACEPORT_OVERCOMMIT_MEMORY),
    }


def cores() -> float:
    """Those that this process may use, lent or not."""
    return float(min(len(os.sched_getaffinity(0)), *_cores()))


def _memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _limits() -> Iterator[float]:
    """Memory limits of this process's control group and of those around it."""
    yield UNLIMITED
    for text in (*_read("", "memory.max"), *_read("memory", "memory.limit_in_bytes")):
        with contextlib.suppress(ValueError):  # "max"
            yield int(text)


def _cores() -> Iterator[float]:
    """The same of its cores."""
    yield UNLIMITED
    for text in _read("", "cpu.max"):
        quota, period = text.split()
        if quota != "max":
            yield int(quota) / int(period)
    for quota, period in zip(
        _read("cpu", "cpu.cfs_quota_us"), _read("cpu", "cpu.cfs_period_us"), strict=False
    ):
        if int(quota) > 0:
            yield int(quota) / int(period)


def _read(controller: str, file: str) -> Iterator[str]:
    """The contents of this file in each group from the root to ours. `controller`: of version 1; "": version
    2."""
    with contextlib.suppress(OSError):
        for line in MINE.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                place = GROUPS / controller
                for part in ("", *Path(path.lstrip("/")).parts):
                    place /= part
                    with contextlib.suppress(OSError):
                        yield (place / file).read_text()
