"""A node's agent: makes what runs here agree with what the rows want. Threads of the node's worker.

The rows are the orders, the runtime is the truth, and the agent may die at any point in between: it begins by
comparing both, adopts what survived it, and starts again what did not.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import DatabaseError, close_old_connections, connection
from django.db.models import Q
from django.utils import timezone
from redis import RedisError

from hardware import logs, nodes, replicas, usage
from hardware.app_report import Unusable
from hardware.hop import here
from hardware.models import Replica
from hardware.placement import taking
from hardware.runtimes.base import ArtifactMissing, EngineUnavailable, StartFailed
from hardware.upkeep import death_notes, handover, leftovers, no_answer, starts, turns, volumes
from hardware.upkeep.heartbeat import Heartbeat
from hardware.upkeep.starts import Found, Start, Starts
from infra.redis_clients import sync_redis

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet

    from hardware.runtimes.base import Exit, Running, Runtime

logger = logging.getLogger(__name__)

State = Replica.State

CHECK_EVERY_S = 1.0
#: A replica that ended is started again after 1, 2, 4, 8, 16 s; then it has failed.
MAX_RESTARTS = 5
#: One that did not answer in time on a busy machine is started again this often.
MAX_BUSY_RESTARTS = 2
GIVES_UP = "It ended {times} times in a row and is not started again. Mend it and push, or restart it."
#: One that ran this long before it ended has its attempts back.
WELL_AFTER = timedelta(minutes=10)
RETRY_ENGINE_S = 5
#: A thread that works less often than this has no connection to PostgreSQL meanwhile.
KEEPS_CONNECTION_S = 5.0
THREADS = 64


class Agent:
    """The agent of node `name`. `tiers` maps a tier's name to whether it is simulated here; `slots` gives
    (busy, all) of its worker's slots, None where that is not known; `removed` is called once an administrator
    has removed the node."""

    def __init__(
        self,
        name: str,
        tiers: dict[str, bool],
        runtime: Runtime,
        slots: Callable[[], tuple[int, int] | None] = lambda: None,
        removed: Callable[[], None] = lambda: None,
    ) -> None:
        self.name, self.tiers, self.runtime = name, tiers, runtime
        self.node_id = nodes.register(name, tiers, runtime.name, runtime.place).pk
        self._taker = taking.Taker(self.node_id, tiers, runtime.place)
        mine = Q(node_id=self.node_id) & ~Q(state__in=[State.STOPPED, State.FAILED])
        concerns = Replica.objects.filter(mine | taking.waiting_for(tiers))
        self._concerns = concerns.defer("spec", "report").order_by("pk")
        self._hinted, self._stopping = threading.Event(), threading.Event()
        self._busy: set[int] = set()
        self._not_before: dict[int, float] = {}
        self._pumps: dict[str, threading.Thread] = {}
        self._starting = threading.Lock()
        self._adopted = self._leaving = False
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="replica")
        self._starts = Starts(self._heed, runtime)
        heartbeat = Heartbeat(node_id=self.node_id, name=name, runtime=runtime, slots=slots, removed=removed)
        self._threads = [
            threading.Thread(
                target=self._forever, args=(heartbeat.beat, nodes.HEARTBEAT_S), name="heartbeat"
            ),
            threading.Thread(target=self._forever, args=(self.reconcile, CHECK_EVERY_S), name="reconcile"),
            threading.Thread(
                target=self._forever,
                args=(usage.Sampler(self.node_id, runtime).sample, usage.SAMPLE_EVERY_S),
                name="usage",
            ),
            threading.Thread(
                target=self._forever,
                args=(lambda: leftovers.clear(name, runtime), leftovers.CHECK_EVERY_S),
                name="leftovers",
            ),
            threading.Thread(
                target=self._forever,
                args=(lambda: volumes.count(name, runtime), volumes.COUNT_EVERY_S),
                name="volumes",
            ),
        ]

    def start(self) -> None:
        """Begin to work."""
        self._starts.begin()
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def stop(self) -> None:
        """End; what runs goes on running, and is adopted by the next agent. Without one the node is down."""
        self._stopping.set()
        self._hinted.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(10)
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._starts.stop()
        if not handover.has_successor(self.name):
            nodes.leave(self.node_id)

    def hand_over(self) -> None:
        """Before the end: other nodes take what runs here, where they can and no next agent waits."""
        if not handover.has_successor(self.name):
            self._leaving = True
            handover.hand_over(self.node_id, self._stopping.is_set)

    def hint(self) -> None:
        """Something changed: reconcile now."""
        self._hinted.set()

    def restart(self, replica_id: int) -> None:
        """Stop what runs for this replica and start it again; nobody's fault is counted."""
        row = self._mine().filter(pk=replica_id, wanted=True, state=State.READY).first()
        if row is not None:
            self._work(row.pk, self._start_again, row)

    def _forever(self, work: Callable[[], None], every_s: float) -> None:
        while not self._stopping.is_set():
            try:
                close_old_connections()
                work()
            except EngineUnavailable as error:
                logger.warning("%s", error)
            except (DatabaseError, RedisError) as error:
                logger.warning("node %s: %s", self.name, error)
            except Exception:
                logger.exception("node %s", self.name)
            if every_s > KEEPS_CONNECTION_S:
                connection.close()
            if work == self.reconcile:
                self._hinted.wait(every_s)
                self._hinted.clear()
            else:
                self._stopping.wait(every_s)
        connection.close()

    # --- one round --------------------------------------------------------------------------------

    def reconcile(self) -> None:
        """Look once at orders and truth, and set going what makes them agree."""
        running = self.runtime.running()
        if not self._adopted:
            taking.note_devices(self.node_id, running)
        rows = self._orders()
        self._starts.keep(rows)
        for row in turns.in_turn(rows.values()):
            there = running.get(row.pk)
            if there is not None:
                self._pump(row, there)
            if not row.wanted:
                self._work(row.pk, self._stop, row, there)
            elif row.state == State.STARTING:
                self._go_on_starting(row, there)
            elif there is None or there.runtime_id != row.runtime_id:
                self._work(row.pk, self._ended, row, self._adopted)
            elif row.next_image:
                self._work(row.pk, self._prepare, row)
        for replica_id, there in self._strays({pk: run for pk, run in running.items() if pk not in rows}):
            self._work(replica_id, self.runtime.stop, there.runtime_id)
        self._adopted = True

    def _orders(self) -> dict[int, Replica]:
        """The rows of this node, after it has taken the waiting replicas that it should. One query loads
        both: this runs every second, and mostly nothing waits."""
        rows = list(self._concerns.all())
        if any(row.node_id is None for row in rows) and not self._leaving:
            self._taker.take()
            rows = list(self._concerns.all())
        else:
            self._taker.nothing_waits()
        return {row.pk: row for row in rows if row.node_id is not None}

    def _mine(self) -> QuerySet[Replica]:
        return Replica.objects.filter(node_id=self.node_id)

    def _work(self, replica_id: int, act: Callable[..., None], *arguments: object) -> None:
        """Do it in a thread; one thing at a time for each replica."""
        if replica_id in self._busy or self._stopping.is_set():
            return
        self._busy.add(replica_id)

        def run() -> None:
            try:
                act(*arguments)
            except EngineUnavailable as error:
                logger.warning("replica %s: %s", replica_id, error)
                self._not_before[replica_id] = time.monotonic() + RETRY_ENGINE_S
            except Exception:
                logger.exception("replica %s", replica_id)
                self._not_before[replica_id] = time.monotonic() + RETRY_ENGINE_S
            finally:
                self._busy.discard(replica_id)
                connection.close()  # the pool's threads are many, and mostly idle
                self._hinted.set()

        self._pool.submit(run)

    # --- what may have to be done -----------------------------------------------------------------

    def _go_on_starting(self, row: Replica, there: Running | None) -> None:
        if (start := self._starts.of(row.pk)) is not None:
            if there is None and not start.is_probed:  # else it is perhaps just being ended
                self._work(row.pk, self._ended_early, row, start)
        elif time.monotonic() >= self._not_before.get(row.pk, 0) and self._starts.reserve(row.pk):
            self._work(row.pk, self._bring_up, row)

    def _bring_up(self, row: Replica) -> None:
        if not self._mine().filter(pk=row.pk, wanted=True, state=State.STARTING).exists():
            self._starts.drop(row.pk)  # it has ended since it was read
            return
        spec = replicas.spec_here(row.pk)
        try:
            with self._starting:
                running = self.runtime.start(row.pk, spec, gpus=tuple(row.devices))
                if row.devices and running.gpus != tuple(row.devices):
                    # It ran on while its node was thought lost, and has another device now.
                    self.runtime.stop(running.runtime_id)
                    running = self.runtime.start(row.pk, spec, gpus=tuple(row.devices))
        except StartFailed as failure:
            self._starts.drop(row.pk)
            cause = Replica.MISSING if isinstance(failure, ArtifactMissing) else ""
            self._fail(row, None, str(failure), cause)
            return
        except BaseException:
            self._starts.drop(row.pk)  # others may start before it is tried again
            raise
        self._mine().filter(pk=row.pk).update(runtime_id=running.runtime_id)
        self._pump(row, running)
        deadline = time.monotonic() + spec.start_timeout_s
        self._starts.add(Start(row=row, spec=spec, running=running, deadline=deadline))

    def _prepare(self, row: Replica) -> None:
        """What is to take its place is being built: let that start as soon as it can."""
        self._mine().filter(pk=row.pk, next_image=row.next_image).update(next_image="")
        if not row.devices:
            spec = replicas.spec_here(row.pk)
            self.runtime.prepare(replace(spec, artifact=replace(spec.artifact, image=row.next_image)))

    def _heed(self, start: Start, found: Found) -> bool:
        """Whether nothing is left to wait for: it can be called, or never will be."""
        row, running = start.row, start.running
        if isinstance(found, Unusable):
            self._fail(row, running.runtime_id, str(found))
            return True
        # Also of one that has just answered: its first answer may have been its last.
        if found is None or self.runtime.poll(running.runtime_id) is not None:
            is_late = time.monotonic() > start.deadline
            if is_late:
                self._never_answered(start)
            return is_late
        death_notes.forget(sync_redis(), row.pk)
        ready = self._mine().filter(pk=row.pk, wanted=True, state=State.STARTING)
        if ready.update(
            state=State.READY,
            address=here.published(row.pk, running.address),
            runtime_id=running.runtime_id,
            report=found,
            ready_at=timezone.now(),
            reloaded_to="",
            reason="",
        ):
            replicas.publish_change(row.pk)
        return True

    def _ended_early(self, row: Replica, start: Start) -> None:
        end = self.runtime.poll(start.running.runtime_id)
        if end is not None:
            self._starts.drop(row.pk)
            self._again_or_fail(row, start.running.runtime_id, end)

    def _ended(self, row: Replica, counts: bool) -> None:
        """It is READY in its row and does not run: start it again. What ended while no agent watched, with
        the machine or the platform, does not count as the app's fault."""
        end = self.runtime.poll(row.runtime_id)
        if end is None:
            return
        death_notes.write(sync_redis(), row.pk, end)
        if counts and end.code is not None:
            self._again_or_fail(row, row.runtime_id, end, is_ready=True)
            return
        self._start_again(row)

    def _start_again(self, row: Replica) -> None:
        self.runtime.stop(row.runtime_id)
        back = self._mine().filter(pk=row.pk, wanted=True, state=State.READY)
        if back.update(state=State.STARTING, address="", reason="It is started again."):
            replicas.publish_change(row.pk)

    def _again_or_fail(self, row: Replica, runtime_id: str, end: Exit, *, is_ready: bool = False) -> None:
        was_well = is_ready and row.ready_at is not None and timezone.now() - row.ready_at > WELL_AFTER
        attempts = 1 if was_well else row.restarts + 1
        never_ready = not is_ready and row.ready_at is None
        if never_ready or attempts > MAX_RESTARTS:
            first, *lines = end.reason.split("\n")
            loop = "" if never_ready else f" {GIVES_UP.format(times=attempts)}"
            self._fail(row, runtime_id, "\n".join([first + loop, *lines]))
            return
        self._again(row, runtime_id, end.reason, attempts, MAX_RESTARTS)

    def _again(self, row: Replica, runtime_id: str, reason: str, attempt: int, of: int) -> None:
        self.runtime.stop(runtime_id)
        self._not_before[row.pk] = time.monotonic() + 2 ** (attempt - 1)
        self._mine().filter(pk=row.pk, wanted=True, state__in=nodes.ACTIVE).update(
            state=State.STARTING,
            address="",
            restarts=attempt,
            reason=f"{reason}\nIt is started again (attempt {attempt} of {of}).",
        )
        replicas.publish_change(row.pk)

    def _fail(self, row: Replica, runtime_id: str | None, reason: str, cause: str = "") -> None:
        if runtime_id is not None:
            self.runtime.stop(runtime_id, grace_s=2)
        self._mine().filter(pk=row.pk, state__in=nodes.ACTIVE).update(
            state=State.FAILED, address="", reason=reason, cause=cause, ended_at=timezone.now()
        )
        replicas.publish_change(row.pk)

    def _never_answered(self, start: Start) -> None:
        """It has failed; on a machine that had too much to do, only at its third attempt."""
        row, spec = start.row, start.spec
        reason = f"The app did not answer on port {spec.port} within {spec.start_timeout_s:.0f} s."
        if starts.is_overloaded() and row.restarts < MAX_BUSY_RESTARTS:
            reason = f"{reason[:-1]}, while its machine had too much to do."
            self._again(row, start.running.runtime_id, reason, row.restarts + 1, MAX_BUSY_RESTARTS)
            return
        listeners = self.runtime.listeners(start.running.runtime_id)
        why = no_answer.describe(spec, start.running.address, listeners)
        lines = [entry.text for entry in logs.tail("run", row.space_id, 20)]
        log_tail = ["Last lines:", *lines] if lines else []
        self._fail(row, start.running.runtime_id, "\n".join([f"{reason} {why}".rstrip(), *log_tail]))

    def _stop(self, row: Replica, there: Running | None) -> None:
        self._starts.drop(row.pk)
        if there is not None:
            self.runtime.stop(there.runtime_id)
        elif row.runtime_id:
            self.runtime.stop(row.runtime_id)
        self._mine().filter(pk=row.pk, wanted=False).update(
            state=State.STOPPED, address="", ended_at=timezone.now()
        )
        self._not_before.pop(row.pk, None)

    def _strays(self, unknown: dict[int, Running]) -> list[tuple[int, Running]]:
        """Those of ours that no row wants here: their Space was deleted, or they live elsewhere now."""
        if not unknown:
            return []
        there = Replica.objects.filter(pk__in=unknown, state__in=[State.PENDING, *nodes.ACTIVE])
        rows = there.only("pk", "node_id", "runtime_id").in_bulk()
        return [(pk, running) for pk, running in unknown.items() if self._is_stray(rows.get(pk), running)]

    def _is_stray(self, row: Replica | None, there: Running) -> bool:
        # Two nodes may share a machine: what the other one runs here, or is just starting, is its own.
        return row is None or (row.node_id != self.node_id and row.runtime_id not in ("", there.runtime_id))

    # --- its output -------------------------------------------------------------------------------

    def _pump(self, row: Replica, running: Running) -> None:
        """Copy its output to the live log, from where that was left. Not of one that serves no visitor."""
        there = self._pumps.get(running.runtime_id)
        if not row.shadow and (there is None or not there.is_alive()):
            self._pumps = {name: pump for name, pump in self._pumps.items() if pump.is_alive()}
            about = row.pk, row.space_id, running.runtime_id
            pump = threading.Thread(target=self._copy, args=about, daemon=True)
            self._pumps[running.runtime_id] = pump
            pump.start()

    def _copy(self, replica_id: int, space_id: int, runtime_id: str) -> None:
        try:
            since = logs.last_at("run", space_id, replica_id)
            for line in self.runtime.logs(runtime_id, since=since):
                logs.append("run", space_id, [line.text], replica=replica_id, at=line.at)
        except (EngineUnavailable, RedisError) as error:  # the next round begins again
            logger.warning("log of replica %s: %s", replica_id, error)
