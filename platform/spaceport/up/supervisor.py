"""`up`: everything one machine needs, started in order, watched, restarted when it dies or is to be renewed,
stopped in order."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.notify import LEAVING, READY
from spaceport.up.child import Child
from spaceport.up.embedded import lives
from spaceport.up.rotation import rotate

RESTART_S = (0.5, 1, 2, 5, 10)  # pauses before a restart, longer each time it dies soon
LONG_ENOUGH_S = 10  # a child that lived this long starts with the short pause again
STOP_S = 25
LEFT_S = 660  # one that was replaced has this long for what it has begun, and is killed then
HURRY_S = 3  # at the final stop: no successor takes over a web process's visitors
READY_S = 60  # a new process that is not ready by then leaves its place to the old one
CHECK_EVERY_S = 0.2
ROTATE_EVERY_S = 10
SERVER_AGAIN_S = 2  # after one that would not start

Report = Callable[[str], None]


@dataclass
class Server:
    """An embedded server: started before the children, and watched like them."""

    name: str
    pid: Callable[[], int | None]
    start: Callable[[], str]
    again_at: float = 0.0  # no sooner, by the monotonic clock
    _last_pid: int | None = None

    def runs(self) -> bool:
        """Whether it runs. While its process lives, nothing is read from disk: this is checked all the
        time."""
        if self._last_pid is None or not lives(self._last_pid):
            self._last_pid = self.pid()
        return self._last_pid is not None


class Supervisor:
    """The children of one `up`."""

    def __init__(
        self, children: list[Child], servers: list[Server], report: Report, logs: tuple[Path, ...] = ()
    ) -> None:
        self.children = children
        self.logs = logs  # kept small, besides the children's
        self._rotate_at = 0.0
        self.servers = servers
        self.report = report
        self.stopping = False
        self.renewing = False  # set to have all children replaced
        self._leaving: list[tuple[Child, float]] = []  # replaced, and killed at a moment

    def start(self) -> None:
        """Start every child."""
        for child in self.children:
            child.start()

    def watch(self, renew: Callable[[], None]) -> None:
        """Restart what dies, until `stopping` is set; call `renew` when `renewing` is."""
        while not self.stopping:
            if self.renewing:
                self.renewing = False
                renew()
            self.check()
            time.sleep(CHECK_EVERY_S)

    def check(self) -> None:
        """Check every server and child once."""
        for server in self.servers:
            if not server.runs() and not self.stopping and time.monotonic() >= server.again_at:
                self._start_again(server)
        for child in tuple(self.children):
            if not self.stopping and not child.expected:
                self._check(child)
        self._see_off()
        if time.monotonic() >= self._rotate_at:
            self._rotate_at = time.monotonic() + ROTATE_EVERY_S
            for path in {*self.logs, *(child.log for child in self.children)}:
                rotate(path)

    def _start_again(self, server: Server) -> None:
        self.report(f"{server.name} died; starting it again")
        try:
            server.start()
        except Exception as error:  # whatever it is, the others need us
            server.again_at = time.monotonic() + SERVER_AGAIN_S
            self.report(f"{server.name} did not start ({error}); once more in {SERVER_AGAIN_S} s")

    def _check(self, child: Child) -> None:
        now = time.monotonic()
        status = child.died()
        if status is None:
            if child.has_sent(LEAVING) and child.beside:
                self.report(f"{child.name} was asked to end; starting another")
                self._replace(child, child.successor())
        elif not child.restart_at:
            child.deaths = 0 if now - child.started > LONG_ENOUGH_S else child.deaths
            pause = RESTART_S[min(child.deaths, len(RESTART_S) - 1)]
            child.deaths += 1
            child.restart_at = now + pause
            why = f"signal {-status}" if status < 0 else f"status {status}"
            self.report(f"{child.name} ended with {why}; starting it again in {pause:g} s (see {child.log})")
        elif now >= child.restart_at:
            child.restart_at = 0.0
            child.start()

    def _replace(self, child: Child, new: Child) -> None:
        if new.process is None:
            new.start()
        self.children[self.children.index(child)] = new
        self._leaving.append((child, time.monotonic() + LEFT_S))

    def _see_off(self) -> None:
        """Those that were replaced end by themselves, in time."""
        staying = []
        for child, until in self._leaving:
            if child.died() is not None:
                child.close()
            elif time.monotonic() > until:
                child.kill()
            else:
                staying.append((child, until))
        self._leaving = staying

    # --- renewing -----------------------------------------------------------------------------------

    def renew(self) -> bool:
        """Replace every child in turn such that nobody notices; False: one would not start, and it and those
        after it are still the old ones."""
        for child in tuple(self.children):
            if self.stopping or child.stays or child not in self.children:
                continue
            self.report(f"renewing {child.name}")
            if not child.beside:
                self._renew_in_place(child)
            elif not self._renew_beside(child):
                self.report(f"the new {child.name} did not get ready: the old one stays (see {child.log})")
                return False
        self.report("all processes are new")
        return True

    def _renew_beside(self, child: Child) -> bool:
        new = child.successor()
        new.start()
        if not self._wait(lambda: new.has_sent(READY) or new.died() is not None, READY_S) or not new.has_sent(
            READY
        ):
            new.stop()
            self._leaving.append((new, time.monotonic() + STOP_S))
            return False
        if child in self.children:
            child.stop()
            self._replace(child, new)
        return True

    def _renew_in_place(self, child: Child) -> None:
        child.expected = True
        child.stop()
        self._wait(lambda: child.died() is not None, STOP_S)
        child.wait(time.monotonic())
        child.expected = False
        if not self.stopping:
            child.start()

    def _wait(self, true: Callable[[], bool], limit_s: float) -> bool:
        """Watch all children until it is true; False when that takes too long."""
        deadline = time.monotonic() + limit_s
        while not self.stopping and time.monotonic() < deadline:
            self.check()
            if true():
                return True
            time.sleep(CHECK_EVERY_S)
        return False

    # --- the end ------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End all children: the web first, then the workers, which finish what runs."""
        self.stopping = True
        began = time.monotonic()
        everybody = [*self.children, *(child for child, _ in self._leaving)]
        for child in self.children:
            child.stop()
        for child in everybody:
            if child.hurries:
                child.wait_for(began + HURRY_S)
                child.stop()
        for child in everybody:
            child.wait(began + STOP_S)
