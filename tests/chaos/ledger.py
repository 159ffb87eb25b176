"""What clients were promised and what they got, in a file the platform cannot touch, and what the app ran."""

from __future__ import annotations

import itertools
import os
import threading
from collections import Counter, defaultdict
from pathlib import Path


class Ledger:
    """Append-only; each line reaches the disk before its promise is used."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._lock = threading.Lock()
        self.acknowledged: dict[str, str] = {}  # key -> event id
        self.ended: dict[str, list[str]] = defaultdict(list)  # event id -> its final messages
        self.refused: Counter[str] = Counter()
        self.doubled_acks = 0

    def write(self, *words: str) -> None:
        with self._lock:
            os.write(self._file, (" ".join(words) + "\n").encode())
            os.fsync(self._file)

    def acknowledge(self, key: str, event_id: str) -> None:
        self.write("ack", key, event_id)
        before = self.acknowledged.setdefault(key, event_id)
        self.doubled_acks += before != event_id

    def end(self, event_id: str, how: str) -> None:
        self.write("end", event_id, how.replace("\n", " ")[:120])
        self.ended[event_id].append(how)

    @property
    def lost(self) -> list[str]:
        return [e for e in self.acknowledged.values() if e not in self.ended]

    @property
    def doubled(self) -> list[str]:
        return [e for e, ends in self.ended.items() if len(set(ends)) > 1]

    def ends(self) -> Counter[str]:
        """Events by how they ended (the first words of a failure)."""
        return Counter(ends[0] if ends[0] == "completed" else ends[0][:60] for ends in self.ended.values())


def overlap(path: Path) -> tuple[int, int, float]:
    """Of what the app wrote: the most calls at once in one process, how many keys ran more than once, and the
    longest time from a run's death to the next start of its key."""
    now: dict[str, set[str]] = defaultdict(set)
    starts: dict[str, list[float]] = defaultdict(list)
    most = 0
    for line in path.read_text().splitlines() if path.exists() else ():
        word, key, where, at = line.split()
        pid, _, thread = where.partition("-")
        if word == "start":
            now[pid].add(thread)
            most = max(most, len(now[pid]))
            starts[key].append(float(at))
        else:
            now[pid].discard(thread)
    again = [b - a for times in starts.values() for a, b in itertools.pairwise(times)]
    return most, len([t for t in starts.values() if len(t) > 1]), max(again, default=0.0)
