"""How far a build or a start has come: since when, which attempt, how long it may take, and what it wrote."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from hardware import logs, replicas
from hardware.models import Replica
from spaces.models import Build, Space, Stage

BUILDS = (Stage.BUILDING, Stage.RUNNING_BUILDING)
STARTS = (Stage.APP_STARTING, Stage.RUNNING_APP_STARTING)


@dataclass(frozen=True)
class Progress:
    """`elapsed_s` since it was ordered; `limit_s` bounds each attempt, and is None before one has begun."""

    elapsed_s: float
    attempt: int
    limit_s: float | None


def progress(space: Space) -> Progress | None:
    """Of what is under way, if anything is."""
    if space.stage in BUILDS and (row := _build(space)) is not None:
        limit = settings.SPACEPORT_BUILD_TIMEOUT_S if row.started_at is not None else None
        return Progress(_since(row.created_at), max(row.attempts, 1), limit)
    if space.stage in STARTS and (replica := newest(space)) is not None:
        starting = replica.state == Replica.State.STARTING
        limit_s = replicas.spec_of(replica.pk).start_timeout_s if starting else None
        return Progress(_since(replica.created_at), replica.restarts + 1, limit_s)
    return None


def newest(space: Space) -> Replica | None:
    """The replica that was ordered last, of those that lead."""
    return space.replicas.filter(beside=None).order_by("-pk").defer("spec", "report").first()


def last_lines(space: Space, count: int) -> list[str]:
    """The last lines of the build or run that the stage is about, and none of the runs before."""
    if space.stage in (*BUILDS, Stage.BUILD_ERROR):
        return [entry.text for entry in logs.tail("build", space.pk, count)]
    replica = newest(space)
    lines = logs.tail("run", space.pk, count)
    return [entry.text for entry in lines if replica is None or _is_of(entry, replica)]


def _is_of(entry: logs.Entry, replica: Replica) -> bool:
    return entry.replica == replica.pk if entry.replica else entry.at >= replica.created_at.timestamp()


def _build(space: Space) -> Build | None:
    under_way = space.builds.filter(status__in=[Build.Status.QUEUED, Build.Status.RUNNING])
    return under_way.defer("log").order_by("-pk").first()


def _since(moment: datetime) -> float:
    return max((timezone.now() - moment).total_seconds(), 0)
