"""The order in which a node starts what waits for that: after a reboot everything does, a few at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardware import usage
from hardware.models import Replica

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def in_turn(rows: Collection[Replica]) -> list[Replica]:
    """The busiest Spaces first, where several replicas start."""
    starting = {row.space_id for row in rows if row.wanted and row.state == Replica.State.STARTING}
    return busiest_first(rows, usage.recent(starting) if len(starting) > 1 else {})


def busiest_first(rows: Collection[Replica], core_minutes: Mapping[int, float]) -> list[Replica]:
    """By what their Spaces used, most first; in the order in which they came where that is equal."""
    return sorted(rows, key=lambda row: (-core_minutes.get(row.space_id, 0.0), row.pk))
