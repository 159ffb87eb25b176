"""Faults by a seed: who is killed, frozen or changed, and when."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import redis
import requests

from tests.invariants.workers import TwoWorkers, pid_of
from tests.platform_server import WEB, Platform

#: How often each is chosen.
FAULTS = {
    "worker": 6, "child": 1, "web": 2, "valkey": 1, "postgres": 1, "freeze": 3, "settings": 4,
}  # fmt: skip
FROZEN_S = 25.0  # longer than a lease, and than the 20 s within which others must have taken over
SIZES = (10, 20)  # of max_size
WATCHED_S = 60.0


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

    platform: TwoWorkers
    space: str
    token: str
    rng: random.Random
    every_s: float
    concurrency: int
    done: Counter[str] = field(default_factory=Counter)
    stopping: threading.Event = field(default_factory=threading.Event)
    reclaims: list[float] = field(default_factory=list)  # s from a holder's death or sleep to the next
    waiting_at_most: int = 0  # events in line at once
    _thawing: list[threading.Timer] = field(default_factory=list)
    _frozen: set[int] = field(default_factory=set)

    def run(self) -> None:
        self.platform.start_second()
        looking = threading.Thread(target=self._look, name="look")
        looking.start()
        names, weights = list(FAULTS), list(FAULTS.values())
        while not self.stopping.wait(self.every_s):
            fault = self.rng.choices(names, weights)[0]
            with contextlib.suppress(Exception):
                if getattr(self, f"_{fault}")():
                    self.done[fault] += 1
        for timer in self._thawing:
            timer.join()
        looking.join()

    def _look(self) -> None:
        """How long the line gets; and the owner, who starts a Space again that died too often."""
        headers = {"Authorization": f"Bearer {self.token}"}
        url = f"{self.platform.url}/api/spaces/{self.space}/restart"
        looks = 0
        while not self.stopping.wait(0.05):
            looks += 1
            with contextlib.suppress(Exception):
                with self.platform.valkey() as client:
                    for key in client.scan_iter("sp:*:wait:main", count=1000):
                        self.waiting_at_most = max(self.waiting_at_most, client.zcard(key))
                if looks % 40 == 0 and self.platform.stage(self.space, self.token) == "RUNTIME_ERROR":
                    requests.post(url, headers=headers, timeout=10).raise_for_status()
                    self.done["owner's restarts"] += 1

    def _watch(self, pid: int) -> None:
        """Measure, where this process holds the lease, how long it takes until another dispatcher does."""
        with self.platform.valkey() as client:
            holder = self.platform.holder(client)
        if pid_of(holder) == pid:
            threading.Thread(target=self._reclaimed, args=(holder,), name="reclaimed").start()

    def _reclaimed(self, before: str) -> None:
        began = time.monotonic()
        while not self.stopping.wait(0.02) and time.monotonic() - began < WATCHED_S:
            with contextlib.suppress(redis.RedisError, OSError), self.platform.valkey() as client:
                if self.platform.holder(client) not in ("", before):
                    break
        if not self.stopping.is_set():
            self.reclaims.append(time.monotonic() - began)

    def _workers(self) -> list[int]:
        """The node's two workers that are awake, the one that serves the queue first."""
        if (second := self.platform.second) is None or second.poll() is not None:
            self.platform.start_second()
        assert self.platform.second is not None
        pids = [*pids_of(self.platform, "manage.py\0node"), self.platform.second.pid]
        with self.platform.valkey() as client:
            serving = pid_of(self.platform.holder(client))
        return sorted((p for p in pids if p not in self._frozen), key=lambda p: p != serving)

    def _kill(self, pids: list[int]) -> bool:
        for pid in pids[:1]:
            os.kill(pid, signal.SIGKILL)
        return bool(pids)

    def _worker(self) -> bool:
        """Mostly the one whose dispatcher serves the queue."""
        pid = self._workers()[0 if self.rng.random() < 0.8 else -1]
        self._watch(pid)
        os.kill(pid, signal.SIGKILL)
        return True

    def _child(self) -> bool:
        """The app itself, in the middle of its calls."""
        return self._kill(pids_of(self.platform, "spaceport_launcher"))

    def _web(self) -> bool:
        return self._kill(pids_of(self.platform, WEB))

    def _valkey(self) -> bool:
        note = json.loads((self.platform.home / "valkey" / "address.json").read_text())
        return self._kill([int(note["pid"])])

    def _postgres(self) -> bool:
        pid = (self.platform.home / "postgres" / "postmaster.pid").read_text().split()[0]
        return self._kill([int(pid)])

    def _freeze(self) -> bool:
        """A worker that sleeps through its lease and wakes up stale."""
        if self._frozen:
            return False
        pid = self._workers()[0]
        self._watch(pid)
        os.kill(pid, signal.SIGSTOP)
        self._frozen.add(pid)
        timer = threading.Timer(FROZEN_S, self._thaw, [pid])
        self._thawing.append(timer)
        timer.start()
        return True

    def _thaw(self, pid: int) -> None:
        self._frozen.discard(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def _settings(self) -> bool:
        self.platform.queue(
            self.space, self.token, concurrency_count=self.rng.randint(1, self.concurrency),
            max_size=self.rng.choice(SIZES),
        )  # fmt: skip
        return True
