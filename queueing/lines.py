"""Names of a Space's lines: a lane, and the group of functions that shares it."""

from __future__ import annotations

from collections.abc import Iterable

MAIN, SIDE = "main", "side"
LANES = (MAIN, SIDE)


def line_of(lane: str, group: str = "") -> str:
    """The line of a group of functions, as the scripts name it (`lua/lib/line.lua`). Functions without a
    group have one line together in each lane."""
    return f"{lane}:{group}" if group else lane


def group_of(line: str) -> str:
    """The group whose line this is; "" for the lines without one."""
    return line.partition(":")[2]


def lane_of(line: str) -> str:
    """The lane of a line."""
    return line.partition(":")[0]


def all_lines(known: Iterable[bytes]) -> list[str]:
    """The lines of a Space, from its key `lines`: each lane has at least one, even while it is empty."""
    return list(dict.fromkeys((*LANES, *(name.decode() for name in known))))
