"""The rows of measurements: one at a time for each Space, held by the task that measures, and followed every
few seconds, so that none hangs and no replica is left over, whatever process dies."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from celery import current_app
from django.db.models import Q
from django.utils import timezone

from hardware import replicas
from hardware.models import Replica
from hardware.placement import line
from hardware.tiers import queue_of
from queueing.models import TuningRun
from queueing.tuning.results import Results

if TYPE_CHECKING:
    from django.db.models import QuerySet

logger = logging.getLogger(__name__)

Status, State = TuningRun.Status, Replica.State

#: Of one Space.
KEPT = 20
#: A task that was not heard of for so long has died with its worker.
LOST_AFTER = timedelta(seconds=20)
MOST_ATTEMPTS = 3
#: How long its replica may wait for room.
ROOM_WITHIN = timedelta(seconds=60)
#: Beyond the time it has: for starts, and for tasks that died.
SLACK = timedelta(minutes=3)
MOST_SECONDS = 900
MOST_CONCURRENCY = 200
MOST_BATCH = 256

#: The holder while the task is on its way.
SENT = "sent"

NO_ROOM = "There was no room for a replica to measure. Try again when other Spaces have ended."
GAVE_WAY = "Another Space waits for the room that the measured replica had. Try again later."
TOOK_TOO_LONG = "It took longer than it may. Allow more seconds, or name fewer functions."
KILLED = f"The worker that measured was ended {MOST_ATTEMPTS} times. Try again."
OTHER_VERSION = "Another version of the Space runs now. Measure that one."


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was asked for. `functions`: by name, none for those that visitors call; `inputs`: calls to send,
    by the function's name; `seconds`: of measuring, without the replica's start."""

    functions: tuple[str, ...] = ()
    inputs: Mapping[str, Sequence[Sequence[Any]]] = field(default_factory=dict)
    max_concurrency: int = 40
    max_batch: int = 64
    seconds: float = 150

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Options:
        return cls(**{**value, "functions": tuple(value["functions"])})


def of(space_id: int) -> QuerySet[TuningRun]:
    """Those of a Space, newest first."""
    return TuningRun.objects.filter(space_id=space_id).order_by("-pk")


def open_run(space_id: int) -> TuningRun | None:
    """The one that goes on."""
    return of(space_id).filter(finished_at=None).first()


def _forget_old(space_id: int) -> None:
    newest = list(of(space_id).values_list("pk", flat=True)[:KEPT])
    of(space_id).exclude(pk__in=newest).exclude(finished_at=None).delete()


def end(run_id: int, status: TuningRun.Status, note: str = "") -> bool:
    """End it, unless it has ended; its replica goes. Whatever was measured stays."""
    going = TuningRun.objects.filter(pk=run_id, finished_at=None)
    changed = bool(going.update(status=status, note=note, finished_at=timezone.now(), holder=""))
    space_id, replica_id = TuningRun.objects.values_list("space_id", "replica_id").get(pk=run_id)
    for replica in Replica.objects.filter(pk=replica_id, wanted=True, shadow=True):
        replicas.order_stop(replica)
    _forget_old(space_id)
    return changed


# --- the task that measures -------------------------------------------------------------------------


def claim(run_id: int, holder: str) -> TuningRun | None:
    """The run, if no living task has it."""
    free = Q(holder__in=["", SENT]) | Q(seen_at=None) | Q(seen_at__lt=timezone.now() - LOST_AFTER)
    going = TuningRun.objects.filter(free, pk=run_id, finished_at=None)
    if not going.update(holder=holder, seen_at=timezone.now(), status=Status.MEASURING):
        return None
    return TuningRun.objects.get(pk=run_id)


def beat(run_id: int, holder: str) -> bool:
    """The task lives. False: the run is not its own any more."""
    return _write(run_id, holder)


def note(run_id: int, holder: str, text: str, results: Results | None = None) -> bool:
    """Store what it does now, and what it has found so far. False: the run is not its own any more."""
    return _write(run_id, holder, note=text, **({} if results is None else {"results": results.to_json()}))


def let_go(run_id: int, holder: str) -> None:
    """The worker ends: another one may go on at once."""
    TuningRun.objects.filter(pk=run_id, holder=holder).update(holder="", seen_at=None)


def _write(run_id: int, holder: str, **values: Any) -> bool:
    own = TuningRun.objects.filter(pk=run_id, holder=holder, finished_at=None)
    return bool(own.update(seen_at=timezone.now(), **values))


# --- upkeep -----------------------------------------------------------------------------------------


def follow() -> None:
    """Do what is due in all of them, and end replicas whose run is over."""
    for run in TuningRun.objects.filter(finished_at=None):
        try:
            follow_one(run)
        except Exception:  # the others must not wait for it
            logger.exception("tuning run %s", run.pk)
    going = TuningRun.objects.filter(finished_at=None).values("replica_id")
    for replica in Replica.objects.filter(wanted=True, shadow=True).exclude(pk__in=going):
        replicas.order_stop(replica)


def replica_changed(replica_id: int) -> bool:
    """News of a replica. False: it is not there to be measured."""
    for run in TuningRun.objects.filter(replica_id=replica_id, finished_at=None):
        follow_one(run)
    return Replica.objects.filter(pk=replica_id, shadow=True).exists()


def follow_one(run: TuningRun) -> None:
    """End it where it cannot go on; have it measured where nobody does."""
    replica = Replica.objects.select_related("node", "space__replica").filter(pk=run.replica_id).first()
    if (why := _over(run, replica)) or replica is None:
        end(run.pk, Status.FAILED, why)
        return
    is_held = run.holder and run.seen_at and run.seen_at > timezone.now() - LOST_AFTER
    if replica.state != State.READY or replica.node is None or is_held:
        return
    if run.attempts >= MOST_ATTEMPTS:
        end(run.pk, Status.FAILED, KILLED)
        return
    counted = TuningRun.objects.filter(pk=run.pk, attempts=run.attempts, finished_at=None)
    if counted.update(attempts=run.attempts + 1, seen_at=timezone.now(), holder=SENT):
        current_app.send_task(
            "queueing.tasks.measure",
            kwargs={"run_id": run.pk},
            queue=f"{queue_of(replica.tier)}@{replica.node.name}",
            expires=LOST_AFTER.total_seconds(),
        )


def _over(run: TuningRun, replica: Replica | None) -> str:
    """Why it cannot go on; "" where it can."""
    now = timezone.now()
    if replica is None or not replica.wanted or replica.set_aside_at is not None:
        return "The Space, or the node of the measured replica, was stopped."
    if replica.state == State.FAILED:
        return f"The replica to measure did not start: {replica.reason}"
    lead = replica.space.replica
    if lead is None or lead.build_id != run.build_id:
        return OTHER_VERSION
    if replica.state == State.PENDING and replica.waits and now - run.created_at > ROOM_WITHIN:
        return NO_ROOM
    if line.is_awaited(replica.tier):
        return GAVE_WAY
    ready_at = replica.ready_at
    if ready_at is not None and now - ready_at > timedelta(seconds=run.options["seconds"]) + SLACK:
        return TOOK_TOO_LONG
    return ""
