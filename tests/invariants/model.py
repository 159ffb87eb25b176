"""What the queue's scripts should do, as plain Python: one list of events a line, no Redis, no clocks.

Everything here follows from DESIGN section 3 and is written without looking like the Lua: where both agree
on random histories, both are right or wrong in the same way by two roads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from queueing.lines import MAIN, SIDE, lane_of, line_of
from queueing.store.keys import replica_of
from queueing.store.queue import MAX_DEATHS, MAX_LOSSES, SIDE_CALLS, Requeued

#: The groups that functions are of; "": none.
GROUPS = ("", "g", "h")
LINES = (*(line_of(SIDE, group) for group in GROUPS[:2]), *(line_of(MAIN, group) for group in GROUPS))
FINAL = ("completed", "failed", "cancelled")
INPUT_DEATHS = 2


@dataclass
class Settings:
    """The settings that scripts read."""

    concurrency_count: int | None = 1
    max_running: int | None = None
    limits: dict[str, int | None] = field(default_factory=dict)  # line -> its own number
    max_size: int | None = None
    batch: bool = False
    max_batch_size: int = 4
    api_open: bool = True
    max_threads: int = 40
    refuse: str = ""

    @property
    def threads(self) -> int:
        return max(self.max_threads, self.concurrency_count or 0)

    def limit(self, line: str) -> int:
        """Calls of a line at once."""
        if lane_of(line) == SIDE:
            return SIDE_CALLS
        number = self.limits.get(line, self.concurrency_count)
        return self.threads if number is None else number

    @property
    def cap(self) -> int:
        """Calls of all lines of the main lane at once."""
        return self.threads if self.max_running is None else self.max_running


@dataclass
class Event:
    """One accepted event. `front`: it is served before those who wait."""

    id: str
    line: str
    fn: str
    channel: str
    batch: int
    seq: int
    input: str
    front: bool
    replica: str = ""  # where it runs or ran, if it may go on there
    state: str = "pending"
    token: int | None = None
    losses: int = 0
    deaths: int = 0
    splits: int = 0
    backs: int = 0
    moves: int = 0


@dataclass(frozen=True)
class Claimed:
    """One call."""

    line: str
    token: int
    ids: tuple[str, ...]


Joined = tuple[Literal["accepted", "duplicate", "reused", "refused", "closed", "full", "poison"], str, int]


@dataclass
class Model:
    """One Space's queue."""

    settings: Settings = field(default_factory=Settings)
    events: dict[str, Event] = field(default_factory=dict)
    keys: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    last: dict[str, str] = field(default_factory=dict)
    followed: dict[str, set[str]] = field(default_factory=dict)  # steps behind that end: each comes once
    deaths_of: dict[str, int] = field(default_factory=dict)
    #: Line -> token -> the replica where this call runs.
    calls: dict[str, dict[int, str]] = field(default_factory=lambda: {line: {} for line in LINES})
    holders: dict[str, str] = field(default_factory=dict)  # replica -> who has its lease
    serving: tuple[str, ...] = ("",)  # the replicas that may claim
    homes: dict[str, str] = field(default_factory=dict)  # session -> the replica that has its state
    seq: int = 0
    token: int = 0  # the last one given
    turns: dict[str, int] = field(default_factory=dict)  # line -> the token of its last start

    # --- what stands where --------------------------------------------------------------------------

    def pending(self, line: str, *, front: bool) -> list[Event]:
        """Those who wait in a line, in their order."""
        found = (e for e in self.events.values() if e.state == "pending" and e.line == line)
        return sorted((e for e in found if e.front == front), key=lambda e: e.seq)

    def running(self) -> set[str]:
        return {e.id for e in self.events.values() if e.state == "running"}

    def open(self, channel: str) -> set[str]:
        """Events of a channel that have had no final message."""
        return {e.id for e in self.events.values() if e.channel == channel and e.state not in FINAL}

    def _keep(self, line: str) -> None:
        """A line that gets somebody in begins behind all others."""
        self.turns.setdefault(line, self.token)

    def _forget_empty(self) -> None:
        waited_for = {e.line for e in self.events.values() if e.state == "pending"}
        for line in tuple(self.turns):
            if line not in waited_for and not self.calls[line]:
                del self.turns[line]

    # --- transitions --------------------------------------------------------------------------------

    def join(
        self, *, event_id: str, line: str, origin: str, channel: str, fn: str, batch: int, after: str,
        key: str, digest: str,
    ) -> Joined:  # fmt: skip
        known = self.keys.get((channel, key)) if key else None
        if known is not None:
            return ("duplicate", known[0], 0) if known[1] == digest else ("reused", "", 0)
        if self.settings.refuse:
            return "refused", "", 0
        if origin == "api" and not self.settings.api_open:
            return "closed", "", 0
        if self.deaths_of.get(digest, 0) >= INPUT_DEATHS:
            return "poison", "", 0
        followed = self.followed.setdefault(channel, set())
        follows = bool(after) and self.last.get(channel) == after and fn not in followed
        waiting = len(self.pending(line, front=False))
        if lane_of(line) != SIDE and not follows and self.settings.max_size is not None:
            everybody = sum(
                len(self.pending(other, front=False)) for other in LINES if lane_of(other) != SIDE
            )
            if everybody >= self.settings.max_size:
                return "full", "", everybody
        self.seq += 1
        self.events[event_id] = Event(event_id, line, fn, channel, batch, self.seq, digest, front=follows)
        if follows:
            followed.add(fn)
        self._keep(line)
        if key:
            self.keys[channel, key] = (event_id, digest)
        return "accepted", event_id, 0 if follows else waiting

    @property
    def served(self) -> bool:
        """Whether every replica that serves has a dispatcher."""
        return bool(self.serving) and all(replica in self.holders for replica in self.serving)

    def acquire(self, holder: str) -> bool:
        replica = replica_of(holder)
        if self.holders.get(replica, holder) != holder:
            return False
        if replica not in self.holders:
            self.token += 1
            self.holders[replica] = holder
            self._take_back({replica, *self._deserted()})
        return True

    def reap(self) -> int:
        """What ran on a replica that neither serves nor has a dispatcher goes back; how many events."""
        return self._take_back(self._deserted()) if self.serving else 0

    def _deserted(self) -> set[str]:
        ran_on = {replica for tokens in self.calls.values() for replica in tokens.values()}
        ran_on |= {event.replica for event in self.events.values() if event.state == "running"}
        return ran_on - {*self.serving, *self.holders}

    def _take_back(self, replicas: set[str]) -> int:
        lost = [e for e in self.events.values() if e.state == "running" and e.replica in replicas]
        for event in lost:
            event.losses += 1
            event.token = None
            event.front = True
            event.state = "failed" if event.losses >= MAX_LOSSES else "pending"
            if event.state == "pending":
                self._keep(event.line)
        self._forget_calls(replicas)
        return len(lost)

    def _forget_calls(self, replicas: set[str]) -> None:
        self.calls = {
            line: {token: where for token, where in tokens.items() if where not in replicas}
            for line, tokens in self.calls.items()
        }

    def home(self, event: Event) -> str:
        """The replica that an event has to run on; "" for any."""
        if len(self.serving) < 2:
            return ""
        found = [event.replica, self.homes.get(event.channel, "")]
        return next((replica for replica in found if replica in self.serving), "")

    def _is_for(self, event: Event, replica: str) -> bool:
        if event.deaths and len(self.serving) > 1:
            return replica == min(self.serving, key=int)
        return self.home(event) in ("", replica)

    def here(self, replica: str) -> dict[str, set[int]]:
        """The calls of a replica, in each line."""
        return {line: {t for t, r in tokens.items() if r == replica} for line, tokens in self.calls.items()}

    def claim(
        self, replica: str, tokens: list[int], ahead: int = 0, short: str = "", long: tuple[str, ...] = ()
    ) -> list[Claimed]:
        """The calls that start now on this replica; `tokens` are those the queue gave, in their order."""
        calls = []
        for line, together in self.starts(replica, ahead, short, long):
            if not tokens:
                break  # the caller sees that a call is missing
            token = tokens.pop(0)
            assert token > self.token, "a fencing token may never come again"
            self.token = self.turns[line] = token
            for event in together:
                if event.replica != replica:
                    self.homes[event.channel] = replica
                event.state, event.token, event.replica = "running", token, replica
            self.calls[line][token] = replica
            calls.append(Claimed(line, token, tuple(e.id for e in together)))
        self._forget_empty()
        return calls

    def starts(
        self, replica: str, ahead: int, short: str, long: tuple[str, ...]
    ) -> list[tuple[str, list[Event]]]:
        """The events of each call that may start now on this replica, and their line."""
        total = sum(map(len, self.here(replica).values()))
        fronts = {line: self.waiting_for(replica, line, front=True) for line in self._in_turn(self.turns)}
        suspects = [(line, front[0]) for line, front in fronts.items() if front and front[0].deaths]
        if total == 1 and any(e.deaths for e in self._running_at(replica)):
            return []
        if suspects:
            line, suspect = suspects[0]
            return [(line, [suspect])] if total == 0 else []
        return _Turns(self, replica, ahead, short, long).all()

    def waiting_for(self, replica: str, line: str, *, front: bool) -> list[Event]:
        """Those of a line that this replica may take."""
        return [event for event in self.pending(line, front=front) if self._is_for(event, replica)]

    @staticmethod
    def _in_turn(turns: dict[str, int]) -> list[str]:
        return sorted(turns, key=lambda line: (turns[line], line))

    def _running_at(self, replica: str) -> list[Event]:
        return [e for e in self.events.values() if e.state == "running" and e.replica == replica]

    def is_current(self, event_id: str, token: int) -> bool:
        event = self.events[event_id]
        return event.state == "running" and event.token == token

    def finish(self, event_id: str, line: str, token: int, status: str, *, free: bool) -> bool:
        if free:
            self.calls[line].pop(token, None)
        if not self.is_current(event_id, token):
            return False
        event = self.events[event_id]
        event.state, event.token = status, None
        self.last[event.channel] = event.fn
        self.followed[event.channel] = set()
        if event.deaths and status == "completed":
            self.deaths_of.pop(event.input, None)
        return True

    def requeue(self, event_id: str, token: int, kind: Requeued, most: int) -> bool:
        if not self.is_current(event_id, token):
            return False
        event = self.events[event_id]
        if kind == "deaths":
            event.deaths += 1
            # Deaths of one input within three seconds are one; a test is quicker than that.
            self.deaths_of[event.input] = 1
        else:
            setattr(event, kind, getattr(event, kind) + 1)
        if getattr(event, kind) > most:
            return False
        event.state, event.token, event.front, event.replica = "pending", None, True, ""
        self._keep(event.line)
        return True

    def cancel(self, event_id: str, channel: str) -> str:
        event = self.events.get(event_id)
        if event is None or event.channel != channel or event.state in FINAL:
            return "unknown"
        if event.state == "running":
            return "running"
        event.state = "cancelled"
        return "cancelled"

    def release(self, holder: str, *, force: bool, leave: bool) -> bool:
        """True: go (or the lease was not ours). Who leaves leaves what runs to the next one."""
        replica = replica_of(holder)
        if self.holders.get(replica) != holder:
            return True
        waits = any(e.state == "pending" for e in self.events.values())
        self._forget_empty()
        if waits and not (force or leave):
            return False
        del self.holders[replica]
        if leave:
            for event in self._running_at(replica):
                event.state, event.token, event.front = "pending", None, True
                self._keep(event.line)
            self._forget_calls({replica})
        return True


class _Turns:
    """One claim's choice, call by call: of the lines that may start one, the one served longest ago."""

    def __init__(self, model: Model, replica: str, ahead: int, short: str, long: tuple[str, ...]) -> None:
        self.settings, self.short = model.settings, short
        self.turns, self.now = dict(model.turns), model.token
        self.there = {line: len(tokens) for line, tokens in model.here(replica).items()}
        self.lines = {
            line: [e for front in (True, False) for e in model.waiting_for(replica, line, front=front)]
            for line in self.turns
        }
        #: Calls that may be in the app beyond those that may run: of each line, and of all.
        self.more = {line: 0 if line in long else min(ahead, self.settings.limit(line)) for line in LINES}
        self.more_of_all = 0 if long else min(ahead, self.settings.cap)
        self.ahead = ahead > 0

    def all(self) -> list[tuple[str, list[Event]]]:
        found = []
        for front in (True, False):
            while (line := self._next(front=front)) is not None:
                found.append((line, self._take(line)))
        return found

    def _next(self, *, front: bool) -> str | None:
        for line in Model._in_turn(self.turns):
            waits = self.lines[line]
            if waits and (waits[0].front or not front) and self._may(line, waits[0]):
                return line
        return None

    def _may(self, line: str, head: Event) -> bool:
        limit, cap = self.settings.limit(line), self.settings.cap
        there, mains = self.there[line], sum(n for name, n in self.there.items() if lane_of(name) != SIDE)
        if sum(self.there.values()) >= self.settings.threads:
            return False
        if lane_of(line) == SIDE:
            return there < limit
        if there < limit and mains < cap:
            return True
        is_short = self.ahead and head.fn in self.short
        return is_short and there < limit + self.more[line] and mains < cap + self.more_of_all

    def _take(self, line: str) -> list[Event]:
        s, waits = self.settings, self.lines[line]
        head = waits[0]
        size = min(head.batch, s.max_batch_size) if s.batch and not head.front else 1
        together = [head, *[e for e in waits[1:] if e.fn == head.fn and not e.front]][: max(size, 1)]
        self.lines[line] = [e for e in waits if e not in together]
        self.now += 1
        self.turns[line] = self.now
        self.there[line] += 1
        if lane_of(line) != SIDE and head.fn not in self.short:
            self.more[line] = self.more_of_all = 0
        return together


__all__ = ["FINAL", "GROUPS", "LINES", "MAX_DEATHS", "Claimed", "Event", "Joined", "Model", "Settings"]
