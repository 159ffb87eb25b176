"""Replicas that were started and cannot be called yet: few threads ask all of them, so that one that hangs
holds none, and as many start at once as the machine has cores."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db import close_old_connections

from hardware import readiness

if TYPE_CHECKING:
    from hardware.models import Replica
    from hardware.runtimes.base import ReplicaSpec, Running, Runtime

logger = logging.getLogger(__name__)

ASKERS = 16
#: The pause after a question is this many times as long as the question took, up to `LONGEST_S`: those that
#: do not answer keep no asker busy.
PAUSE_BY_QUESTION, LONGEST_S = 4, 15.0
#: A start counts as one of those at once while it works: at first, and then while it uses this many cores.
SETTLES_S, AT_WORK_CORES, AT_WORK_S = 5.0, 0.2, 60.0
#: A machine with so many processes ready to run, for each core, lets nobody start in time.
OVERLOAD = 1.5


@dataclass(eq=False)
class Start:
    """One of them. `deadline`: by the monotonic clock."""

    row: Replica
    spec: ReplicaSpec
    running: Running
    deadline: float
    pauses: Iterator[float] = field(default_factory=readiness.pauses)
    next_at: float = 0.0
    is_asked: bool = False
    began: float = field(default_factory=time.monotonic)
    used: tuple[float, float] | None = None  # when last seen, CPU seconds till then


def at_once() -> int:
    """How many may start together on this machine."""
    return max(2, os.cpu_count() or 1)


def is_overloaded() -> bool:
    """Whether this machine had too much to do in the last minutes."""
    one, five, _ = os.getloadavg()
    return max(one, five) / (os.cpu_count() or 1) > OVERLOAD


def is_at_work(age_s: float, cores: float | None) -> bool:
    """Whether a start of this age that uses so many cores (None: not known) still counts."""
    return age_s < SETTLES_S or (age_s < AT_WORK_S and (cores is None or cores >= AT_WORK_CORES))


class Starts:
    """Those of one agent. `look` asks one once; True: it is one no longer."""

    def __init__(self, look: Callable[[Start], bool], runtime: Runtime) -> None:
        self._look, self._runtime = look, runtime
        self._all: dict[int, Start] = {}
        self._at_work: set[int] = set()  # replicas that count as starting at once
        self._changed = threading.Condition()
        self._stopping = False
        self._askers = ThreadPoolExecutor(ASKERS, thread_name_prefix="start")
        self._thread = threading.Thread(target=self._forever, name="starts", daemon=True)

    def begin(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._askers.shutdown(wait=True, cancel_futures=True)

    def of(self, replica_id: int) -> Start | None:
        """The start of this replica, once it is under way."""
        return self._all.get(replica_id)

    def reserve(self, replica_id: int) -> bool:
        """Whether this one may start now; it then counts until it is dropped or has settled."""
        if replica_id not in self._at_work and len(self._at_work) >= at_once():
            return False
        self._at_work.add(replica_id)
        return True

    def add(self, start: Start) -> None:
        """It was started: ask it from now on."""
        with self._changed:
            self._all[start.row.pk] = start
            self._changed.notify()

    def drop(self, replica_id: int) -> None:
        """It does not start any more."""
        with self._changed:
            self._all.pop(replica_id, None)
            self._at_work.discard(replica_id)

    def keep(self, replica_ids: Collection[int]) -> None:
        """Drop all others; let new ones begin where earlier ones have settled."""
        for replica_id in [*self._all, *self._at_work]:
            if replica_id not in replica_ids:
                self.drop(replica_id)
        for start in list(self._all.values()):
            if start.row.pk in self._at_work and not self._is_at_work(start):
                self._at_work.discard(start.row.pk)

    def _is_at_work(self, start: Start) -> bool:
        now = time.monotonic()
        stats = self._runtime.stats(start.running.runtime_id)
        before, start.used = start.used, (now, stats.cpu_seconds) if stats else None
        cores = None
        if before is not None and start.used is not None and now > before[0]:
            cores = (start.used[1] - before[1]) / (now - before[0])
        return is_at_work(now - start.began, cores)

    def _forever(self) -> None:
        with self._changed:
            while not self._stopping:
                now = time.monotonic()
                waiting = [start for start in self._all.values() if not start.is_asked]
                for start in waiting:
                    if start.next_at <= now:
                        start.is_asked = True
                        self._askers.submit(self._ask, start)
                later = [start.next_at - now for start in waiting if not start.is_asked]
                self._changed.wait(min(later, default=None))

    def _ask(self, start: Start) -> None:
        began, is_over = time.monotonic(), False
        try:
            is_over = self._look(start)
        except Exception:
            logger.exception("start of replica %s", start.row.pk)
        finally:
            close_old_connections()
        now = time.monotonic()
        pause_s = min(PAUSE_BY_QUESTION * (now - began), LONGEST_S)
        with self._changed:
            start.is_asked, start.next_at = False, now + max(pause_s, next(start.pauses))
            if is_over and self._all.get(start.row.pk) is start:
                del self._all[start.row.pk]
                self._at_work.discard(start.row.pk)
            self._changed.notify()
