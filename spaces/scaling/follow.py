"""Makes the replicas beside a Space's lead agree with how many its owner wants: idempotent, and called again
every few seconds."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from hardware import replicas
from hardware.models import Replica
from queueing.wakeup import wake_dispatcher
from spaces import publishing
from spaces.models import ReplicaRange, Sdk, Space
from spaces.scaling import beside

if TYPE_CHECKING:
    from queueing.routes import Route

logger = logging.getLogger(__name__)


STATIC = "A static Space is served from its files: it needs no replicas."


class BadCount(ValueError):
    """No Space runs on so many replicas; the message gives the limits."""


def reconcile() -> None:
    """Catch up with all Spaces that run on several replicas, or are to."""
    for space_id in _unsettled():
        try:
            follow(space_id)
        except Exception:  # the others must not wait for it
            logger.exception("space %s", space_id)


def _unsettled() -> list[int]:
    ordered = Replica.objects.filter(wanted=True, set_aside_at=None, beside__isnull=False)
    several = Q(replica_count__gt=1, replica__state=Replica.State.READY) & ~Q(sdk=Sdk.STATIC)
    found = Space.objects.filter(several | Q(pk__in=ordered.values("space_id")))
    spaces = list(found.select_related("replica"))
    routes = publishing.published_of([space.pk for space in spaces])
    return [space.pk for space in spaces if not _is_settled(space, routes[space.pk])]


def _is_settled(space: Space, route: Route | None) -> bool:
    lead = space.replica
    if lead is None:
        return False
    if lead.state != Replica.State.READY:
        return True  # `spaces.following` has the next one lead, or waits for this one
    planned = beside.plan(space.replica_count, lead, beside.of(space), timezone.now())
    return not planned.end and not planned.missing and _is_published(planned, lead, route)


def _is_published(planned: beside.Plan, lead: Replica, route: Route | None) -> bool:
    if route is None or route.place != (lead.pk, lead.address):
        return True  # `spaces.following` sees to that
    others, coming = beside.places_of(planned)
    return set(route.others) == set(others) and set(route.coming) == set(coming)


def follow(space_id: int) -> None:
    """End what is too much, order what is missing, and publish who serves."""
    if not _change(space_id):
        return
    space = Space.objects.select_related("owner", "replica__node").filter(pk=space_id).first()
    if space is None or space.replica is None or space.replica.state != Replica.State.READY:
        return
    planned = beside.plan(space.replica_count, space.replica, beside.of(space), timezone.now())
    if not _is_published(planned, space.replica, publishing.published(space_id)):
        wake_dispatcher(publishing.publish(space))


@transaction.atomic
def _change(space_id: int) -> bool:
    """False: nobody leads it."""
    if Space.objects.select_for_update().only("pk").filter(pk=space_id).first() is None:
        return False
    # Read behind the lock: a query that waits for it joins what it found before.
    space = Space.objects.select_related("replica").get(pk=space_id)
    lead, others = space.replica, beside.of(space)
    if lead is None:  # it was stopped while one of these was ordered
        for one in others:
            replicas.order_stop(one)
        return False
    if lead.state != Replica.State.READY:
        return False
    planned = beside.plan(space.replica_count, lead, others, timezone.now())
    for one in planned.end:
        _end(one)
    newest = replicas.candidate(space_id)
    if planned.missing and newest is not None and newest.pk == lead.pk:
        spec = replicas.spec_of(lead.pk)
        for _ in range(planned.missing - _taken_back(lead, planned.missing)):
            replicas.order(space_id=space_id, build_id=lead.build_id, spec=spec, beside=lead.pk)
    return True


def _taken_back(lead: Replica, most: int) -> int:
    """Have so many that were about to end serve again: at once, and with the state of their sessions."""
    ending = Replica.objects.filter(
        beside=lead.pk, build_id=lead.build_id, state=Replica.State.READY, wanted=True, shadow=False,
        set_aside_at__isnull=False, node__leaving=False, node__draining_since=None,
    )  # fmt: skip
    found = list(ending.order_by("pk").values_list("pk", flat=True)[:most])
    return Replica.objects.filter(pk__in=found, wanted=True).update(set_aside_at=None)


def _end(one: Replica) -> None:
    if one.state == Replica.State.READY:
        replicas.set_aside(one.pk)  # its calls end first: `spaces.building.versions`
    else:
        replicas.order_stop(one)


def set_count(space: Space, count: int) -> None:
    """Run the Space on so many replicas from now on, no longer on a range.

    Raises:
        BadCount
    """
    if space.sdk == Sdk.STATIC:
        raise BadCount(STATIC)
    if not 1 <= count <= settings.SPACEPORT_REPLICAS_PER_SPACE:
        raise BadCount(f"A Space may run on 1 to {settings.SPACEPORT_REPLICAS_PER_SPACE} replicas.")
    ReplicaRange.objects.filter(space=space).delete()
    space.replica_count = count
    space.save(update_fields=["replica_count", "last_modified"])
    transaction.on_commit(partial(follow, space.pk))
