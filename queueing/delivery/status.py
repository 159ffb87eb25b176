"""The state of a Space's queue, as published to its subscribers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queueing.eta import Eta
    from queueing.store.snapshot import Lines


MOST_GROUPS = 50  # published to subscribers


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """One group of functions with events that wait or run."""

    group: str
    pending: int
    running: int
    eta: Eta | None


@dataclass(frozen=True, slots=True)
class Status:
    """One Space's main lane now; `eta` is the longest line's."""

    pending: int
    running: int
    eta: Eta | None
    groups: tuple[GroupStatus, ...] = ()


def status_of(lines: Lines) -> Status:
    """The state of these lines, the busiest groups by name."""
    busiest = sorted(lines.busy, key=lambda one: -one.pending - one.running)[:MOST_GROUPS]
    groups = [GroupStatus(one.group, one.pending, one.running, one.joining) for one in busiest]
    return Status(lines.pending, lines.running, lines.joining, tuple(groups))
