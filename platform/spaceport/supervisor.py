"""`up`: everything one machine needs, started in order, watched, restarted when it dies, stopped in order."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

RESTART_S = (0.5, 1, 2, 5, 10)  # pauses before a restart, longer each time it dies soon
LONG_ENOUGH_S = 10  # a child that lived this long starts with the short pause again
STOP_S = 25
_PR_SET_PDEATHSIG = 1

Say = Callable[[str], None]


def _die_with_parent() -> None:
    """In a child before exec: a supervisor that is killed leaves nothing behind (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Child:
    """One process of the platform."""

    name: str
    command: list[str]
    log: Path
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    deaths: int = 0
    restart_at: float = 0.0

    def start(self) -> None:
        """Start it, its output appended to its log."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        out: IO[bytes]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(  # noqa: S603
                self.command,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.env},
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        self.started = time.monotonic()

    def died(self) -> int | None:
        """Its exit status when it ended, else None."""
        return None if self.process is None else self.process.poll()

    def stop(self, sig: int = signal.SIGTERM) -> None:
        """Ask it to end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(sig)

    def wait(self, deadline: float) -> None:
        """Until it ended; by force past the deadline."""
        if self.process is None:
            return
        try:
            self.process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass
class Server:
    """An embedded server: started before the children, looked after like one."""

    name: str
    pid: Callable[[], int | None]
    start: Callable[[], str]


class Supervisor:
    """The children of one `up`."""

    def __init__(self, children: list[Child], servers: list[Server], say: Say) -> None:
        self.children = children
        self.servers = servers
        self.say = say
        self.stopping = False

    def start(self) -> None:
        """Start every child."""
        for child in self.children:
            child.start()

    def watch(self) -> None:
        """Restart what dies, until `stopping` is set."""
        while not self.stopping:
            self.look()
            time.sleep(0.2)

    def look(self) -> None:
        """One look at every server and child."""
        for server in self.servers:
            if server.pid() is None and not self.stopping:
                self.say(f"{server.name} died; starting it again")
                server.start()
        now = time.monotonic()
        for child in self.children:
            status = child.died()
            if status is None or self.stopping:
                continue
            if not child.restart_at:
                child.deaths = 0 if now - child.started > LONG_ENOUGH_S else child.deaths
                pause = RESTART_S[min(child.deaths, len(RESTART_S) - 1)]
                child.deaths += 1
                child.restart_at = now + pause
                why = f"signal {-status}" if status < 0 else f"status {status}"
                self.say(f"{child.name} ended with {why}; starting it again in {pause:g} s (see {child.log})")
            elif now >= child.restart_at:
                child.restart_at = 0.0
                child.start()

    def stop(self) -> None:
        """End all children: the web first, then the workers, which finish what runs."""
        self.stopping = True
        deadline = time.monotonic() + STOP_S
        for child in self.children:
            child.stop()
        for child in self.children:
            child.wait(deadline)
