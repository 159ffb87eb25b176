"""What the queue's scripts should do, as plain Python: one list of events a lane, no Redis, no clocks.

Everything here follows from DESIGN section 3 and is written without looking like the Lua: where both agree
on random histories, both are right or wrong in the same way by two roads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from queueing.queue import MAX_DEATHS, MAX_LOSSES, SIDE_CALLS, Requeued

LANES = ("main", "side")
FINAL = ("completed", "failed", "cancelled")
INPUT_DEATHS = 2


@dataclass
class Settings:
    """The settings that scripts read."""

    concurrency_count: int = 1
    max_size: int | None = None
    batch: bool = False
    max_batch_size: int = 4
    api_open: bool = True
    max_threads: int = 40
    refuse: str = ""


@dataclass
class Event:
    """One accepted event. `front`: it is served before those who wait."""

    id: str
    lane: str
    fn: str
    channel: str
    batch: int
    seq: int
    input: str
    front: bool
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

    lane: str
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
    deaths_of: dict[str, int] = field(default_factory=dict)
    calls: dict[str, set[int]] = field(default_factory=lambda: {lane: set() for lane in LANES})
    holder: str | None = None
    seq: int = 0
    highest_token: int = 0

    # --- what stands where --------------------------------------------------------------------------

    def pending(self, lane: str, *, front: bool) -> list[Event]:
        """Those who wait in a lane, in their order."""
        found = (e for e in self.events.values() if e.state == "pending" and e.lane == lane)
        return sorted((e for e in found if e.front == front), key=lambda e: e.seq)

    def running(self) -> set[str]:
        return {e.id for e in self.events.values() if e.state == "running"}

    def open(self, channel: str) -> set[str]:
        """Events of a channel that have had no final message."""
        return {e.id for e in self.events.values() if e.channel == channel and e.state not in FINAL}

    # --- transitions --------------------------------------------------------------------------------

    def join(
        self, *, event_id: str, lane: str, origin: str, channel: str, fn: str, batch: int, after: str,
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
        follows = bool(after) and self.last.get(channel) == after
        waiting = len(self.pending(lane, front=False))
        limit = self.settings.max_size if lane == "main" else None
        if not follows and limit is not None and waiting >= limit:
            return "full", "", waiting
        self.seq += 1
        self.events[event_id] = Event(event_id, lane, fn, channel, batch, self.seq, digest, front=follows)
        if key:
            self.keys[channel, key] = (event_id, digest)
        return "accepted", event_id, 0 if follows else waiting

    def acquire(self, holder: str) -> bool:
        if self.holder not in (None, holder):
            return False
        if self.holder is None:
            for event in self.events.values():
                if event.state == "running":
                    event.losses += 1
                    event.token = None
                    event.front = True
                    event.state = "failed" if event.losses >= MAX_LOSSES else "pending"
            self.calls = {lane: set() for lane in LANES}
        self.holder = holder
        return True

    def most(self, lane: str, ahead: int = 0) -> int:
        """The calls of a lane there may be."""
        if lane == "side":
            return SIDE_CALLS
        count = self.settings.concurrency_count
        return count + min(ahead, count)

    def claim(self, tokens: list[int], ahead: int = 0, short: str = "") -> list[Claimed]:
        """The calls that start now; `tokens` are those the queue gave, in their order."""
        calls = []
        for lane, group in self.groups(ahead, short):
            if not tokens:
                break  # the caller sees that a call is missing
            token = tokens.pop(0)
            assert token > self.highest_token, "a fencing token may never come again"
            self.highest_token = token
            for event in group:
                event.state, event.token = "running", token
            self.calls[lane].add(token)
            calls.append(Claimed(lane, token, tuple(e.id for e in group)))
        return calls

    def groups(self, ahead: int, short: str) -> list[tuple[str, list[Event]]]:
        """The events of each call that may start now."""
        s = self.settings
        total = sum(map(len, self.calls.values()))
        running = self.running()
        fronts = [(lane, self.pending(lane, front=True)) for lane in LANES]
        suspects = [(lane, front[0]) for lane, front in fronts if front and front[0].deaths]
        if total == 1 and running and any(self.events[i].deaths for i in self._oldest_running()):
            return []
        if suspects:
            lane, suspect = suspects[0]
            return [(lane, [suspect])] if total == 0 else []
        groups: list[tuple[str, list[Event]]] = []
        for lane in LANES:
            line = self.pending(lane, front=True) + self.pending(lane, front=False)
            most = self.most(lane, ahead)
            there = len(self.calls[lane])
            while line and there < most and total < max(s.max_threads, s.concurrency_count):
                head = line[0]
                if head.fn not in short:
                    most = self.most(lane)
                    if there >= most:
                        break
                size = min(head.batch, s.max_batch_size) if s.batch and not head.front else 1
                group = [head, *[e for e in line[1:] if e.fn == head.fn and not e.front]][: max(size, 1)]
                line = [e for e in line if e not in group]
                groups.append((lane, group))
                there += 1
                total += 1
        return groups

    def _oldest_running(self) -> set[str]:
        """Of one call running, its events; they run since the same moment."""
        (token,) = (t for tokens in self.calls.values() for t in tokens)
        return {e.id for e in self.events.values() if e.state == "running" and e.token == token}

    def is_current(self, event_id: str, token: int) -> bool:
        event = self.events[event_id]
        return event.state == "running" and event.token == token

    def finish(self, event_id: str, lane: str, token: int, status: str, *, free: bool) -> bool:
        if free:
            self.calls[lane].discard(token)
        if not self.is_current(event_id, token):
            return False
        event = self.events[event_id]
        event.state, event.token = status, None
        self.last[event.channel] = event.fn
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
        event.state, event.token, event.front = "pending", None, True
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
        if self.holder != holder:
            return True
        waits = any(e.state == "pending" for e in self.events.values())
        if waits and not (force or leave):
            return False
        self.holder = None
        if leave:
            for event in self.events.values():
                if event.state == "running":
                    event.state, event.token, event.front = "pending", None, True
            self.calls = {lane: set() for lane in LANES}
        return True


__all__ = ["FINAL", "LANES", "MAX_DEATHS", "Claimed", "Event", "Joined", "Model", "Settings"]
