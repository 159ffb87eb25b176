"""The system calls that a Space's container may make (`seccomp.json`): an allow-list of the kernel's ordinary
ones. New ones are refused until they are added.

Left out is what no demo needs and what kernels were broken through: tracing of other processes, keyrings,
bpf, perf, userfaultfd, io_uring, mounts, namespaces, file handles, clocks, modules, NUMA policies; of sockets
all but those of the internet, of the machine itself and of the routing table. Some answer "not implemented"
(`errnoRet` 38): programs then use something else, where "not permitted" would end them."""

from __future__ import annotations

import functools
import json
from pathlib import Path

PROFILE = Path(__file__).with_name("seccomp.json")


@functools.cache
def profile() -> str:
    """The profile as the engine takes it: JSON, in the least room."""
    return json.dumps(json.loads(PROFILE.read_text()), separators=(",", ":"))
