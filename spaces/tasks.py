"""Celery's doors to the Spaces: each loads its row and calls one function."""

from __future__ import annotations

import logging
import threading
from typing import Any

from celery import shared_task
from celery.signals import worker_ready
from celery.worker import state
from django.conf import settings
from django.utils import timezone

from hardware import logs
from hardware.runtimes import choose
from hardware.runtimes.base import Artifact, BuildFailed
from infra.startup import retry_until_database_ready
from spaces import builds, following, lifecycle
from spaces.models import Build, Space

logger = logging.getLogger(__name__)

_slots = threading.BoundedSemaphore(settings.SPACEPORT_BUILDS_AT_ONCE)
LOG_KEPT = 2_000_000  # characters of a build's log that its row keeps


@shared_task(name="spaces.tasks.build", ignore_result=True)
def build(build_id: int) -> None:
    """Build one commit and roll it out."""
    with _slots:
        mine = Build.objects.filter(pk=build_id, status=Build.Status.QUEUED).update(
            status=Build.Status.RUNNING, started_at=timezone.now(), worker=settings.SPACEPORT_NODE
        )
        if mine:
            _build(Build.objects.select_related("space__owner").get(pk=build_id))


def _build(row: Build) -> None:
    lines: list[str] = []
    logs.clear("build", row.space_id)

    def log(line: str) -> None:
        lines.append(line)
        logs.append("build", row.space_id, [line])

    artifact = None
    try:
        artifact = builds.run(row, log)
        row.artifact, row.status = artifact.to_json(), Build.Status.SUCCEEDED
    except BuildFailed as failure:
        row.status, row.reason = Build.Status.FAILED, str(failure)
        log(f"Build failed: {failure}")
    except Exception:
        logger.exception("build %s", row.pk)
        row.status = Build.Status.FAILED
        row.reason = "The platform could not build this Space; its administrator finds the cause in the log."
        log(row.reason)
    row.log, row.finished_at = "\n".join(lines)[-LOG_KEPT:], timezone.now()
    row.save()
    if artifact is not None:
        lifecycle.built(row, artifact)
    else:
        lifecycle.build_failed(row)


@shared_task(name="spaces.tasks.forget", ignore_result=True)
def forget(artifacts: list[dict[str, str]]) -> None:
    """Remove what builds made: of a deleted Space, or of versions long replaced."""
    runtime = choose(settings.SPACEPORT_RUNTIME)
    for artifact in artifacts:
        runtime.forget(Artifact.from_json(artifact))


@shared_task(name="spaces.tasks.replica_changed", ignore_result=True)
def replica_changed(replica_id: int) -> None:
    """A node's agent has news of a replica."""
    lifecycle.replica_changed(replica_id)


@shared_task(name="spaces.tasks.wake", ignore_result=True)
def wake(space_id: int) -> None:
    """Somebody wants a sleeping Space."""
    for space in Space.objects.select_related("owner", "replica").filter(pk=space_id):
        lifecycle.wake(space)


@shared_task(name="spaces.tasks.follow_spaces", ignore_result=True)
def follow_spaces() -> None:
    """What a lost message would leave undone."""
    following.reconcile_spaces()


@worker_ready.connect
def take_up_builds(sender: Any = None, **_: Any) -> None:
    """A build worker that starts anew: what it was building when it died is built again. It begins nothing
    else before, so that it does not take its own first build for one of those."""
    if sender is not None and "build" in sender.app.amqp.queues.consume_from:
        retry_until_database_ready(_take_up_builds, unless=lambda: state.should_stop is not None)


def _take_up_builds() -> None:
    mine = Build.objects.filter(status=Build.Status.RUNNING, worker=settings.SPACEPORT_NODE)
    for row in mine:
        Build.objects.filter(pk=row.pk, status=Build.Status.RUNNING).update(status=Build.Status.QUEUED)
        lifecycle.send_build(row)


@shared_task(name="spaces.tasks.put_to_sleep", ignore_result=True)
def put_to_sleep() -> None:
    """Let Spaces sleep that nobody visits."""
    for space in Space.objects.select_related("owner", "replica").filter(sleep_time_s__isnull=False):
        lifecycle.put_to_sleep(space)
