"""Replicas that were started and cannot be called yet: one event loop probes all of them, so that a hanging
one delays no others, and as many start at once as the machine has cores."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import connection

from hardware import readiness
from hardware.app_report import Unusable

if TYPE_CHECKING:
    from hardware.models import Replica
    from hardware.runtimes.base import ReplicaSpec, Running, Runtime

logger = logging.getLogger(__name__)

#: What an app answered: that it can be called, that it never will be, or nothing yet.
Found = dict[str, Any] | Unusable | None

THREADS = 16  # that act on answers
#: The pause after a probe that took longer than `QUICK_S` is this many times as long, up to `LONGEST_S`. The
#: first answer of a server often takes a moment, and the next one follows at once.
QUICK_S, PAUSE_PER_PROBE, LONGEST_S = 0.25, 4, 15.0
#: A start counts as one of those at once while it works: at first, and then while it uses this many cores.
SETTLES_S, AT_WORK_CORES, AT_WORK_S = 5.0, 0.2, 60.0
#: A machine with so many processes ready to run, for each core, starts nothing in time.
OVERLOAD = 1.5


@dataclass(eq=False)
class Start:
    """One start. `deadline`: by the monotonic clock."""

    row: Replica
    spec: ReplicaSpec
    running: Running
    deadline: float
    pauses: Iterator[float] = field(default_factory=readiness.pauses)
    is_probed: bool = False
    began: float = field(default_factory=time.monotonic)
    used: tuple[float, float] | None = None  # time of the last sample, CPU seconds till then


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


def pause_s(took_s: float, least_s: float) -> float:
    """Seconds until the next probe: an app is not kept busy with answering."""
    return least_s if took_s < QUICK_S else max(least_s, min(PAUSE_PER_PROBE * took_s, LONGEST_S))


class Starts:
    """The starts of one agent. `act` gets the result of each probe (`readiness.probe`); True: the start is
    over."""

    def __init__(self, act: Callable[[Start, Found], bool], runtime: Runtime) -> None:
        self._act, self._runtime = act, runtime
        self._all: dict[int, Start] = {}
        self._at_work: set[int] = set()  # replicas that count as starting at once
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None  # while it runs
        self._stopping, self._begun = asyncio.Event(), threading.Event()
        self._probing: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="start")
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._until_stopped()), name="starts", daemon=True
        )

    def begin(self) -> None:
        """Begin to probe."""
        self._thread.start()
        self._begun.wait()

    def stop(self) -> None:
        """Probe no more."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._stopping.set)
        if self._thread.is_alive():
            self._thread.join()
        self._threads.shutdown(wait=True, cancel_futures=True)

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
        """Probe this start from now on."""
        with self._lock:
            self._all[start.row.pk] = start
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._follow, start)

    def drop(self, replica_id: int) -> None:
        """Its start is over."""
        with self._lock:
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
        if now - start.began < SETTLES_S:
            return True  # an engine that is busy with it takes up to a second to say what it uses
        stats = self._runtime.stats(start.running.runtime_id)
        before, start.used = start.used, (now, stats.cpu_seconds) if stats else None
        cores = None
        if before is not None and start.used is not None and now > before[0]:
            cores = (start.used[1] - before[1]) / (now - before[0])
        return is_at_work(now - start.began, cores)

    # --- on the loop ------------------------------------------------------------------------------

    async def _until_stopped(self) -> None:
        with self._lock:
            self._loop = asyncio.get_running_loop()
            for start in self._all.values():
                self._follow(start)
        self._begun.set()
        await self._stopping.wait()
        with self._lock:
            self._loop = None

    def _follow(self, start: Start) -> None:
        task = asyncio.get_running_loop().create_task(self._probe(start))
        self._probing.add(task)
        task.add_done_callback(self._probing.discard)

    async def _probe(self, start: Start) -> None:
        loop = asyncio.get_running_loop()
        while self._all.get(start.row.pk) is start:
            began = time.monotonic()
            start.is_probed = True
            found = await self._answer(start)
            if self._all.get(start.row.pk) is not start:
                return  # it was dropped meanwhile: its answer does not concern its successor
            if await loop.run_in_executor(self._threads, self._acted, start, found):
                self._end(start)
            start.is_probed = False
            await asyncio.sleep(pause_s(time.monotonic() - began, next(start.pauses)))

    @staticmethod
    async def _answer(start: Start) -> Found:
        try:
            return await readiness.probe(start.running.address, start.spec.sdk, start.spec.health_path)
        except Unusable as error:
            return error
        except Exception:
            logger.exception("start of replica %s", start.row.pk)
            return None

    def _acted(self, start: Start, found: Found) -> bool:
        try:
            return self._act(start, found)
        except Exception:
            logger.exception("start of replica %s", start.row.pk)
            return False
        finally:
            connection.close()

    def _end(self, start: Start) -> None:
        with self._lock:
            if self._all.get(start.row.pk) is start:
                del self._all[start.row.pk]
                self._at_work.discard(start.row.pk)
