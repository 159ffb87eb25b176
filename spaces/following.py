"""Catches up with steps that a lost message or an unavailable server left undone: the rows are the truth, and
each Space's stage and its route in Redis must agree with them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db.models import Q

from hardware import replicas
from hardware.models import Replica
from queueing.stats.figures import figures
from spaces import lifecycle, publishing
from spaces.building import versions
from spaces.models import Space, Stage
from spaces.scaling import follow

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from queueing.routes import Route

logger = logging.getLogger(__name__)

FOLLOWED = [
    Stage.APP_STARTING,
    Stage.RUNNING_APP_STARTING,
    Stage.RUNNING,
    Stage.RUNNING_BUILDING,
    Stage.RUNTIME_ERROR,
]


def reconcile_spaces() -> None:
    """Catch up with news of replicas, and with replicas that were replaced. Only Spaces that there is
    something to do for are loaded."""
    followed = Space.objects.filter(stage__in=FOLLOWED)
    there_is_work = Q(pk__in=_behind(followed)) | Q(pk__in=versions.with_replaced())
    for space in followed.select_related("owner", "replica__node").filter(there_is_work):
        try:
            _reconcile(space)
        except Exception:  # the others' news must not wait for it
            logger.exception("space %s", space.pk)
    follow.reconcile()


def _behind(spaces: QuerySet[Space]) -> list[int]:
    """Those whose stage or route is behind the news of their newest replica."""
    newest = replicas.candidates(spaces.values("pk"))
    published = publishing.published_of([one.space_id for one in newest])
    return [one.space_id for one in newest if is_behind(one.space, one, published[one.space_id])]


def _reconcile(space: Space) -> None:
    newest = replicas.candidate(space.pk)
    if newest is not None and is_behind(space, newest, publishing.published(space.pk)):
        lifecycle.replica_changed(newest.pk)
    if space.stage != Stage.RUNTIME_ERROR:
        versions.retire_replaced(space)


def is_behind(space: Space, newest: Replica, route: Route | None) -> bool:
    """Whether the last news of this replica has not reached the Space's stage, the gateway, or the waiting
    visitors. `route`: as published."""
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
