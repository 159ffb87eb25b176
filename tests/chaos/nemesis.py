"""Faults by a seed: who is killed, frozen or changed, and when."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.platform_server import Platform

#: How often each is chosen.
FAULTS = {
    "worker": 4, "child": 4, "web": 2, "valkey": 2, "postgres": 1, "freeze": 2, "settings": 4,
}  # fmt: skip
FROZEN_S = 20.0  # longer than a lease


def pids_of(platform: Platform, part: str) -> list[int]:
    """The platform's processes with this in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (folder / "cmdline").read_bytes()
            home = str(platform.home).encode()
            if part.encode() in line and home in line + (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return found


@dataclass
class Nemesis:
    """Breaks one thing every `every_s` seconds until it is told to stop."""

    platform: Platform
    space: str
    token: str
    rng: random.Random
    every_s: float
    concurrency: int
    done: Counter[str] = field(default_factory=Counter)
    stopping: threading.Event = field(default_factory=threading.Event)
    _thawing: list[threading.Timer] = field(default_factory=list)

    def run(self) -> None:
        names, weights = list(FAULTS), list(FAULTS.values())
        while not self.stopping.wait(self.every_s):
            fault = self.rng.choices(names, weights)[0]
            with contextlib.suppress(Exception):
                if getattr(self, f"_{fault}")():
                    self.done[fault] += 1
        for timer in self._thawing:
            timer.join()

    def _kill(self, pids: list[int]) -> bool:
        for pid in pids[:1]:
            os.kill(pid, signal.SIGKILL)
        return bool(pids)

    def _worker(self) -> bool:
        return self._kill(pids_of(self.platform, "manage.py\0node"))

    def _child(self) -> bool:
        """The app itself, in the middle of its calls."""
        return self._kill(pids_of(self.platform, "spaceport_launcher"))

    def _web(self) -> bool:
        return self._kill(pids_of(self.platform, "daphne"))

    def _valkey(self) -> bool:
        note = json.loads((self.platform.home / "valkey" / "address.json").read_text())
        return self._kill([int(note["pid"])])

    def _postgres(self) -> bool:
        pid = (self.platform.home / "postgres" / "postmaster.pid").read_text().split()[0]
        return self._kill([int(pid)])

    def _freeze(self) -> bool:
        """A worker that sleeps through its lease and wakes up stale."""
        pids = pids_of(self.platform, "manage.py\0node")[:1]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
            timer = threading.Timer(FROZEN_S, self._thaw, [pid])
            self._thawing.append(timer)
            timer.start()
        return bool(pids)

    @staticmethod
    def _thaw(pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def _settings(self) -> bool:
        self.platform.queue(
            self.space, self.token, concurrency_count=self.rng.randint(1, self.concurrency),
            max_size=self.rng.choice([None, 30, 100]),
        )  # fmt: skip
        return True
