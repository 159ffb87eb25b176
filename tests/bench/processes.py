"""What the processes of a platform use (Linux)."""

from __future__ import annotations

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def by_command(home: Path, part: str) -> int:
    """The process of the platform in this folder whose command line holds `part`."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            env = (folder / "environ").read_bytes().decode(errors="replace")
            here = (folder / "cwd").readlink()
        except OSError:
            continue
        if part in command and (f"SPACEPORT_HOME={home}" in env or here.is_relative_to(home)):
            return int(folder.name)
    raise LookupError(f"no process of {home} runs {part}")


def memory_bytes(pid: int) -> int:
    """Resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def cpu_seconds(pid: int) -> float:
    """Processor time used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
