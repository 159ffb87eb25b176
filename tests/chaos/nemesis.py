"""Faults by a seed: who is killed, frozen, renewed or changed, and when."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import slow_builds
from tests.chaos.clients import Target
from tests.chaos.ledger import Ledger
from tests.chaos.machine import Machine
from tests.chaos.observer import Observer
from tests.invariants.workers import TwoWorkers, pid_of
from tests.platform_server import WEB

#: How often each is chosen. Of the two workers of the node, one that dies or sleeps costs its Spaces a lease
#: (15 s), so these are the rarer ones.
FAULTS = {
    "kill web": 7, "kill app": 6, "kill worker": 3, "kill valkey": 4, "kill postgres": 3,
    "kill build worker": 3, "kill beat": 2, "freeze worker": 1, "freeze web": 2, "freeze app": 2,
    "freeze valkey": 2, "change settings": 3, "rolling restart": 1, "push version": 2, "prune app": 1,
    "prune environment": 1, "lose machine": 2, "slow builds": 1, "restore everything": 1,
}  # fmt: skip
#: Those that need environments which no other platform uses.
OF_ONE_RUN = {"prune environment", "restore everything"}
#: How long a frozen one sleeps, in seconds; a worker for longer than others have to take over its work.
FROZEN_S = {"worker": (25, 25), "web": (1, 5), "app": (1, 8), "valkey": (0.5, 3)}
SIZES = (6, 12, 20)  # of max_size
RENEWED_S = 120
RESTORED_EVERY_S = 120.0  # at most: nothing is served meanwhile
PARTS = {
    "web": WEB, "worker": "manage.py\0node", "build worker": "build@", "beat": "beat-schedule",
    "app": "spaceport_launcher",
}  # fmt: skip
LATE_S = 40.0  # after a change of concurrency, calls may begin that were claimed before it


@dataclass(frozen=True)
class Fault:
    """One that happened. `spaces` are those it hit; none named: all."""

    kind: str
    at: float
    spaces: tuple[str, ...] = ()


@dataclass
class Settings:
    """One number of one Space, as it was set."""

    changes: list[tuple[float, int]] = field(default_factory=list)

    def allowed(self, at: float) -> int:
        """The most that was in force a little before this moment or at it."""
        before = [count for t, count in self.changes if t <= at - LATE_S][-1:]
        return max(before + [count for t, count in self.changes if at - LATE_S < t <= at])

    def raise_to(self, count: int) -> None:
        """It is about to be set: from now on a higher one may be in force."""
        if not self.changes or count > self.changes[-1][1]:
            self.changes.append((time.monotonic(), count))

    def is_now(self, count: int) -> None:
        """It was set."""
        self.changes.append((time.monotonic(), count))


@dataclass
class Nemesis:
    """Breaks one thing every `every_s` seconds, more or less, until it is told to stop."""

    platform: TwoWorkers
    observer: Observer
    ledger: Ledger
    token: str
    rng: random.Random
    every_s: float
    concurrency: int
    weights: dict[str, int] = field(default_factory=lambda: dict(FAULTS))
    machine: Machine | None = None  # a second one, where it may be lost
    faults: list[Fault] = field(default_factory=list)
    settings: dict[str, Settings] = field(default_factory=lambda: defaultdict(Settings))  # concurrency_count
    totals: dict[str, Settings] = field(default_factory=lambda: defaultdict(Settings))  # max_running
    stopping: threading.Event = field(default_factory=threading.Event)
    failed: Counter[str] = field(default_factory=Counter)  # faults that could not be made
    renewals: int = 0  # rolling restarts that came to their end
    _sleepers: dict[int, threading.Thread] = field(default_factory=dict)
    _renewing: threading.Thread | None = None
    _restored_at: float = float("-inf")

    @property
    def targets(self) -> list[Target]:
        return self.observer.targets

    @property
    def counts(self) -> Counter[str]:
        return Counter(fault.kind for fault in self.faults)

    def run(self) -> None:
        names, weights = list(self.weights), list(self.weights.values())
        self._keep_second()
        while not self.stopping.wait(self.every_s * self.rng.uniform(0.5, 1.5)):
            self._keep_second()
            what, _, whom = self.rng.choices(names, weights)[0].partition(" ")
            kind = f"{what} {whom}"
            try:
                done = getattr(self, f"_{what}")(whom)
            except Exception as error:  # a part that is not there now, a database that does not answer
                self.failed[f"{kind}: {type(error).__name__}"] += 1
                continue
            if not done:
                self.failed[f"{kind}: nobody there"] += 1
        for thread in (*self._sleepers.values(), self._renewing):
            if thread is not None:
                thread.join()

    def _did(self, kind: str, spaces: tuple[str, ...] = ()) -> bool:
        self.faults.append(Fault(kind, time.monotonic(), spaces))
        self.ledger.write("fault", kind, *spaces)
        return True

    def _keep_second(self) -> None:
        """The node's second worker, and the second node, have no supervisor: they are started again here."""
        if self.machine is not None:
            with contextlib.suppress(AssertionError):
                self.machine.keep()
        second = self.platform.second
        if second is None or second.poll() is not None:
            with contextlib.suppress(AssertionError):  # the first one is not there now
                self.platform.start_second()

    # --- whom -----------------------------------------------------------------------------------------

    def _choose(self, whom: str) -> tuple[int, tuple[str, ...]] | None:
        """A process of this kind that is awake, and the Spaces that it is all there is for."""
        if whom == "valkey":
            note = json.loads((self.platform.home / "valkey" / "address.json").read_text())
            return self._awake([int(note["pid"])])
        if whom == "postgres":
            pid = (self.platform.home / "postgres" / "postmaster.pid").read_text().split()[0]
            return self._awake([int(pid)])
        if whom == "app":
            found = self._awake(self.platform.pids(PARTS["app"]))
            return found and (found[0], self._space_of(found[0]))
        if whom == "worker":
            return self._worker()
        return self._awake(self.platform.pids(PARTS[whom]))

    def _awake(self, pids: list[int]) -> tuple[int, tuple[str, ...]] | None:
        awake = sorted(pid for pid in pids if pid not in self._sleepers)
        return (self.rng.choice(awake), ()) if awake else None

    def _worker(self) -> tuple[int, tuple[str, ...]] | None:
        """Of the node's two workers mostly one that serves some queue."""
        workers = self.platform.pids(PARTS["worker"])
        if (second := self.platform.second) is not None and second.poll() is None:
            workers.append(second.pid)
        serves: dict[int, tuple[str, ...]] = {pid: () for pid in workers if pid not in self._sleepers}
        for space, holder in self.observer.holders().items():
            if (pid := pid_of(holder)) in serves:
                serves[pid] += (space,)
        if not serves:
            return None
        serving = [pid for pid, spaces in serves.items() if spaces]
        pid = self.rng.choice(serving if serving and self.rng.random() < 0.8 else list(serves))
        return pid, serves[pid]

    def _space_of(self, pid: int) -> tuple[str, ...]:
        """The Space whose app this process is."""
        environment = (Path("/proc") / str(pid) / "environ").read_bytes().split(b"\0")
        names = dict(pair.partition(b"=")[::2] for pair in environment)
        return (names.get(b"SPACE_ID", b"").decode(),)

    # --- what -----------------------------------------------------------------------------------------

    def _kill(self, whom: str) -> bool:
        if (found := self._choose(whom)) is None:
            return False
        pid, spaces = found
        os.kill(pid, signal.SIGKILL)
        self._did(f"kill {whom}", spaces)
        if whom == "worker":
            self.observer.watch(pid, spaces)
        return True

    def _push(self, _: str) -> bool:
        """A new commit: it is built, and its app takes over beside the old one."""
        target = self.rng.choice(self.targets)
        self.platform.api(self.token).upload_file(
            path_or_fileobj=str(self.rng.random()).encode(),
            path_in_repo="version.txt",
            repo_id=target.name,
            repo_type="space",
        )
        return self._did("push version", (target.name,))

    def _prune(self, what: str) -> bool:
        """What builds made is gone, and an app that ran from it too: it has to be built again."""
        if (found := self._choose("app")) is None:
            return False
        pid, spaces = found
        if what == "environment":  # that of all of them
            for path in (self.platform.home / "environments").glob("py*"):
                shutil.rmtree(path, ignore_errors=True)
        for target in self.targets:
            if target.name in spaces:
                shutil.rmtree(self.platform.home / "code" / str(target.space_id), ignore_errors=True)
        os.kill(pid, signal.SIGKILL)
        return self._did(f"prune {what}", spaces)

    def _lose(self, _: str) -> bool:
        """A machine with all that runs on it; the other one can do its work. Where it serves nothing, it gets
        something to serve first."""
        if self.machine is None or not self.machine.is_up:
            return False
        spaces = self.machine.die(self.targets)
        return self._did("lose machine", spaces) if spaces else self._push("")

    def _slow(self, _: str) -> bool:
        slow_builds.push(self.platform, self.token, len(self.faults))
        return self._did("slow builds")

    def _restore(self, _: str) -> bool:
        """The data folder goes to another disk and back; what builds made does not travel."""
        if time.monotonic() - self._restored_at < RESTORED_EVERY_S or self._sleepers:
            return False
        if self._renewing is not None and self._renewing.is_alive():
            return False
        home, backup = self.platform.home, self.platform.home.with_suffix(".tgz")
        if self.machine is not None:
            self.machine.stop()
        self.platform.stop()
        self._did("restore everything")
        subprocess.run(["tar", "-C", home, "-czf", backup, "."], check=True)
        for path in home.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        subprocess.run(["tar", "-C", home, "-xzf", backup], check=True)
        backup.unlink()
        for name in ("code", "environments"):
            shutil.rmtree(home / name, ignore_errors=True)
        self.platform.start()
        self._restored_at = time.monotonic()
        return True

    def _freeze(self, whom: str) -> bool:
        """Sent to sleep, and awake again in time; of workers one at a time."""
        if (found := self._choose(whom)) is None:
            return False
        if whom == "worker" and any(t.name == "worker" for t in self._sleepers.values()):
            return False
        pid, spaces = found
        os.kill(pid, signal.SIGSTOP)
        self._did(f"freeze {whom}", spaces)
        if whom == "worker":
            self.observer.watch(pid, spaces)
        sleeps = self.rng.uniform(*FROZEN_S[whom])
        sleeper = threading.Thread(target=self._thaw, args=(pid, sleeps), name=whom)
        self._sleepers[pid] = sleeper
        sleeper.start()
        return True

    def _thaw(self, pid: int, after_s: float) -> None:
        self.stopping.wait(after_s)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        self._sleepers.pop(pid, None)

    def _change(self, _: str) -> bool:
        target = self.rng.choice(self.targets)
        concurrency = self.rng.randint(1, self.concurrency)
        self.set(target, concurrency, concurrency + self.rng.randint(0, 2), self.rng.choice(SIZES))
        return self._did("change settings", (target.name,))

    def set(self, target: Target, concurrency: int, total: int, max_size: int) -> None:
        """What raises counts from when it is asked for, what lowers from when it was answered."""
        numbers = ((self.settings[target.name], concurrency), (self.totals[target.name], total))
        for number, count in numbers:
            number.raise_to(count)
        self.platform.queue(
            target.name, self.token, concurrency_count=concurrency, max_running=total, max_size=max_size
        )
        for number, count in numbers:
            number.is_now(count)

    def _rolling(self, _: str) -> bool:
        """SIGHUP to `up`, and the faults go on meanwhile; one at a time."""
        if self._renewing is not None and self._renewing.is_alive():
            return False
        assert self.platform.process is not None
        ends = self._renewed()
        os.kill(self.platform.process.pid, signal.SIGHUP)
        self._renewing = threading.Thread(target=self._wait_renewed, args=(ends,), name="renewing")
        self._renewing.start()
        return self._did("rolling restart")

    def _renewed(self) -> int:
        return self.platform.log().count("all processes are new")

    def _wait_renewed(self, before: int) -> None:
        deadline = time.monotonic() + RENEWED_S
        while time.monotonic() < deadline and not self.stopping.wait(0.5):
            if self._renewed() > before:
                self.renewals += 1
                return
