"""What clients were promised and what they got, in a file the platform cannot touch, and what the app ran."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.runs import Runs


@dataclass(frozen=True)
class Acknowledged:
    """One accepted event."""

    key: str
    event_id: str
    space: str
    at: float  # monotonic


class Ledger:
    """Append-only: each promise is in the file before it is used, whatever becomes of this process."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._lock = threading.Lock()
        self.acknowledged: dict[str, Acknowledged] = {}  # by key
        self.ended: dict[str, list[tuple[str, float]]] = defaultdict(list)  # event id -> final messages, when
        self.refused: Counter[str] = Counter()
        self.did: Counter[str] = Counter()  # what clients did besides
        self.acknowledged_twice: list[str] = []  # keys that were given two events

    def write(self, *words: str) -> None:
        with self._lock:
            os.write(self._file, f"{time.monotonic():.3f} {' '.join(words)}\n".encode())

    def acknowledge(self, key: str, event_id: str, space: str) -> None:
        self.write("ack", key, event_id, space)
        new = Acknowledged(key, event_id, space, time.monotonic())
        if self.acknowledged.setdefault(key, new).event_id != event_id:
            self.acknowledged_twice.append(key)

    def refuse(self, why: str) -> None:
        self.refused[_alike(why)] += 1

    def end(self, event_id: str, how: str) -> None:
        """`how` is "completed", "cancelled", or why it failed."""
        self.write("end", event_id, how.replace("\n", " ")[:200])
        self.ended[event_id].append((how, time.monotonic()))

    @property
    def lost(self) -> list[Acknowledged]:
        return [ack for ack in self.acknowledged.values() if ack.event_id not in self.ended]

    @property
    def ended_twice(self) -> list[str]:
        """Events whose end was told in two ways."""
        return [e for e, ends in self.ended.items() if len({how for how, _ in ends}) > 1]

    def ends(self) -> Counter[str]:
        """Events by how they ended."""
        return Counter(_alike(ends[0][0]) for ends in self.ended.values())

    def completions(self) -> list[float]:
        """When the ends of completed events were heard, in order."""
        return sorted(ends[0][1] for ends in self.ended.values() if ends[0][0] == "completed")

    def close(self) -> None:
        os.close(self._file)


def _alike(why: str) -> str:
    """Without what differs from one to the next."""
    return re.sub(r"\d+", "N", why)[:100]


def overlap(path: Path) -> tuple[int, int, float]:
    """Of what the app wrote: the most calls at once in one process, how many keys ran more than once, and the
    longest time from a run's death to the next start of its key."""
    runs = Runs.read(path)
    again = list(runs.again())
    longest = max((b.began - a.began for a, b in again), default=0.0)
    return runs.most_at_once, len({a.key for a, _ in again}), longest
