"""Waiters: clients that receive places in line, what each was sent, and those of one Space together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from queueing.delivery import presence
from queueing.delivery.status import Status
from queueing.eta import Eta
from queueing.events import prefix_of

VISITS_AT_ONCE = 1000  # visits whose events are looked up in one round

#: The last place sent for one event: state, position, size, likely time as coarsely as shown, waits for.
SentPlace = tuple[str, int, int, int, str]


@dataclass(frozen=True, slots=True)
class Place:
    """One event's place: while pending, `position` from 0 within its line, of `size`. `waits_for`: whether
    its line's head waits for a call of its own group to end ("group"), or for any ("space")."""

    event_id: str
    position: int
    size: int
    eta: Eta | None
    state: str = "pending"
    group: str = ""
    waits_for: str = "group"


@dataclass(eq=False, slots=True)
class Waiter:
    """A client that gets places; with `channel` "" only the status."""

    space_id: int
    channel: str
    on_place: Callable[[Place], None]
    on_status: Callable[[Status], None] | None = None
    visit: str = ""
    present: bool = True
    done: bool = False  # no event of its session is open, so its disconnect ends nothing
    ticket: bool = False  # its event keeps its place in line even without a connection
    sent: dict[bytes, SentPlace] = field(default_factory=dict, init=False)
    status: tuple[Any, ...] | None = field(default=None, init=False)

    @property
    def mark(self) -> str:
        """The name by which it is marked present."""
        return presence.with_ticket(self.channel) if self.ticket else self.channel


def ignore_place(_: Place) -> None:
    """For a plain request, which has no room for places: it only counts as present while it waits."""


@dataclass(eq=False, slots=True)
class SpaceWaiters:
    """The waiters of one Space, found by how their events' ids begin."""

    everyone: set[Waiter] = field(default_factory=set)
    by_prefix: dict[bytes, set[Waiter]] = field(default_factory=lambda: defaultdict(set))
    by_visit: dict[str, set[Waiter]] = field(default_factory=lambda: defaultdict(set))
    next_visit: int = 0  # where the next round goes on among the visits
    round_at: float = 0.0  # the latest time of the next refresh, by the monotonic clock
    again_at: float = 0.0  # its earliest time
    soon: bool = True
    ends_calls: bool = False  # of visitors who disconnect: `queueing.delivery.presence`
    present_at: float = 0.0
    lines: list[str] = field(default_factory=list)  # those not empty at the last read

    def has(self, channel: str) -> bool:
        """Whether a waiter gets this session's places, and so counts as present."""
        waiters = self.by_prefix.get(prefix_of(channel).encode(), ())
        return any(waiter.channel == channel and waiter.present for waiter in waiters)

    def add(self, waiter: Waiter) -> None:
        self.everyone.add(waiter)
        if waiter.channel:
            self.by_prefix[prefix_of(waiter.channel).encode()].add(waiter)
        if waiter.visit:
            self.by_visit[waiter.visit].add(waiter)

    def drop(self, waiter: Waiter) -> None:
        self.everyone.discard(waiter)
        prefix = prefix_of(waiter.channel).encode()
        named: tuple[tuple[dict[Any, set[Waiter]], Any], ...] = (
            (self.by_prefix, prefix),
            (self.by_visit, waiter.visit),
        )
        for table, key in named:
            if key in table:
                table[key].discard(waiter)
                if not table[key]:
                    del table[key]

    def visits(self) -> list[str]:
        """The visits to look up in this round: all, or the next ones of many."""
        visits = list(self.by_visit)
        if len(visits) <= VISITS_AT_ONCE:
            return visits
        start = self.next_visit % len(visits)
        self.next_visit = start + VISITS_AT_ONCE
        return (visits + visits)[start : start + VISITS_AT_ONCE]

    def due_at(self) -> float:
        return self.again_at if self.soon else self.round_at
