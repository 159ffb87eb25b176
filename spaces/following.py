"""What a lost message or a server that was away leaves undone, found by looking: the rows are the truth, and
each Space's stage and its route in Redis must say the same."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from hardware.models import Replica
from queueing.stats.figures import figures
from spaces import lifecycle, publishing
from spaces.models import Build, Space, Stage

FOLLOWED = [
    Stage.APP_STARTING,
    Stage.RUNNING_APP_STARTING,
    Stage.RUNNING,
    Stage.RUNNING_BUILDING,
    Stage.RUNTIME_ERROR,
]
UNBUILT_AFTER = timedelta(seconds=20)


def reconcile_spaces() -> None:
    """Catch up with news of replicas, builds never begun, and replicas that were replaced."""
    for space in Space.objects.select_related("owner", "replica__node").filter(stage__in=FOLLOWED):
        newest = space.replicas.filter(wanted=True).order_by("-pk").first()
        if newest is not None and is_behind(space, newest):
            lifecycle.replica_changed(newest.pk)
        if space.stage != Stage.RUNTIME_ERROR:
            lifecycle.retire_replaced(space)
    long_ago = timezone.now() - UNBUILT_AFTER
    for row in Build.objects.filter(status=Build.Status.QUEUED, created_at__lt=long_ago):
        lifecycle.send_build(row)


def is_behind(space: Space, newest: Replica) -> bool:
    """Whether the last news of this replica did not get into the Space's stage, to the gateway, and to those
    who wait."""
    route = publishing.published(space.pk)
    if newest.state == Replica.State.FAILED:
        if route is None or not (space.stage == route.stage == Stage.RUNTIME_ERROR):
            return True
        return not route.address and figures(space.pk).pending > 0
    if newest.pk != space.replica_id:
        return True
    leads = route is not None and route.place == (newest.pk, newest.address)
    if newest.state == Replica.State.READY:
        return space.stage not in (Stage.RUNNING, Stage.RUNNING_BUILDING) or not leads
    # It died and is started again.
    return space.stage != Stage.APP_STARTING or route is None or bool(route.address)
