"""Celery tasks for Spaces: each loads its row and calls one function."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings
from django.utils import timezone

from hardware.runtimes import choose
from hardware.runtimes.base import Artifact, InUse
from hardware.trust import redis_user
from hardware.upkeep import draining, lost
from queueing.tuning import runs
from spaces import following, housekeeping, lifecycle
from spaces.building import workers
from spaces.building.builders import Builders
from spaces.gateway.gradio import kept
from spaces.models import Space
from spaces.room import idle, pressure
from spaces.scaling import scaler
from spaces.webhooks import deliveries, events

FORGET_AGAIN_S = 30
KEEP_AGAIN_S = 5
LOOKBACK = timedelta(minutes=15)  # minutes are stored late

#: This process's, where it is a build worker's.
_builders: Builders | None = None


@shared_task(name="spaces.tasks.build", ignore_result=True)
def build(build_id: int) -> None:
    """A build was ordered: the build threads of this worker check at once."""
    if _builders is not None:
        _builders.hint()


@shared_task(name="spaces.tasks.forget", bind=True, ignore_result=True, max_retries=20)
def forget(self: Any, artifacts: list[dict[str, Any]]) -> None:
    """Remove what builds made of versions replaced long ago. What is in use is tried again."""
    runtime, used = choose(settings.SPACEPORT_RUNTIME), []
    for artifact in artifacts:
        made = Artifact.from_json(artifact)
        try:
            runtime.forget(made)
        except InUse:
            used.append(artifact)
        else:
            if made.pull:
                from hardware.runtimes.images import registry  # it loads the engine's client

                registry.forget(made.pull)
    if used:
        raise self.retry(kwargs={"artifacts": used}, countdown=FORGET_AGAIN_S)


@shared_task(name="spaces.tasks.replica_changed", ignore_result=True)
def replica_changed(replica_id: int) -> None:
    """Act on a replica's new state, reported by its node's agent."""
    if not runs.replica_changed(replica_id):
        lifecycle.replica_changed(replica_id)


@shared_task(name="spaces.tasks.keep_description", bind=True, ignore_result=True, max_retries=20)
def keep_description(self: Any, space_id: int) -> None:
    """Keep the description of a running Space's app for when it sleeps."""
    for space in Space.objects.select_related("replica").filter(pk=space_id):
        try:
            kept.keep(space)
        except kept.Busy as error:
            raise self.retry(countdown=KEEP_AGAIN_S, exc=error) from error


@shared_task(name="spaces.tasks.wake", ignore_result=True)
def wake(space_id: int) -> None:
    """Start a sleeping Space for a visitor."""
    for space in Space.objects.select_related("owner", "replica").filter(pk=space_id):
        lifecycle.wake(space)


@shared_task(name="spaces.tasks.follow_spaces", ignore_result=True)
def follow_spaces() -> None:
    """Do what a lost message left undone, free the replicas of lost nodes, and move those of drained ones."""
    workers.control_ran()
    try:
        lost.release_lost()
        draining.go_on()
        redis_user.keep()
    finally:
        following.reconcile_spaces()


@shared_task(name="spaces.tasks.scale_replicas", ignore_result=True)
def scale_replicas() -> None:
    """Order replicas of Spaces that need more, and take away what is not needed, as their owners allow."""
    scaler.scale()


@shared_task(name="spaces.tasks.forget_old_rows", ignore_result=True)
def forget_old_rows() -> None:
    """Delete ended replicas, old builds, and sessions that have expired."""
    housekeeping.forget_old_rows()


@shared_task(name="spaces.tasks.put_to_sleep", ignore_result=True)
def put_to_sleep() -> None:
    """Stop Spaces that nobody has visited for their sleep time, and earlier where others wait for room."""
    for space in Space.objects.select_related("owner", "replica").filter(pk__in=idle.over_their_time()):
        lifecycle.put_to_sleep(space)
    pressure.make_room()


@shared_task(name="spaces.tasks.deliver_webhooks", ignore_result=True)
def deliver_webhooks() -> None:
    """Send webhooks what happened."""
    deliveries.deliver()


@shared_task(name="spaces.tasks.notice_full_queues", ignore_result=True)
def notice_full_queues() -> None:
    """Send webhooks which queues refused visitors."""
    events.full_queues(timezone.now() - LOOKBACK)


@worker_ready.connect
def begin(sender: Any = None, **_: Any) -> None:
    """A worker starts: one of the control queue is reported from now on, one of the build queue builds."""
    global _builders
    served = sender.app.amqp.queues.consume_from if sender is not None else ()
    if "control" in served:
        workers.control_ran()
    if "build" in served:
        _builders = Builders(settings.SPACEPORT_BUILDS_AT_ONCE)
        _builders.start()


@worker_shutting_down.connect
def end(**_: Any) -> None:
    """It takes no more builds."""
    if _builders is not None:
        _builders.stop()
