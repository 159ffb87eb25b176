"""Who leads: where that replica dies, another one of the same version takes its place at once, and it serves
beside that one when it is back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from hardware import replicas
from hardware.models import Replica
from spaces.models import Space
from spaces.scaling import beside

if TYPE_CHECKING:
    from django.db.models import QuerySet


@transaction.atomic
def succeed(space: Space) -> bool:
    """Have another one lead, where the one that does cannot be called; `space` has it then. False: none can,
    or that is done."""
    if space.replica is None or not beside.of(space):
        return False
    Space.objects.select_for_update().only("pk").get(pk=space.pk)
    # Read behind the lock: a query that waits for it joins what it found before.
    row = Space.objects.select_related("replica__node").get(pk=space.pk)
    old = space.replica = row.replica
    if old is None or old.state == Replica.State.READY:
        return False
    found = next((one for one in beside.of(row) if _may_lead(one, old)), None)
    if found is None:
        return False
    _of(row).filter(pk=found.pk).update(beside=None)
    _of(row).filter(beside=old.pk).update(beside=found.pk)
    _of(row).filter(pk=old.pk).update(beside=found.pk)
    space.replica = row.replica = Replica.objects.select_related("node").get(pk=found.pk)
    row.save(update_fields=["replica"])
    return True


def _of(space: Space) -> QuerySet[Replica]:
    return Replica.objects.filter(space=space)


def _may_lead(one: Replica, old: Replica) -> bool:
    if one.state != Replica.State.READY or not beside.is_alike(one, old):
        return False
    newest = replicas.candidate(old.space_id)
    # The last that was ordered to lead is the next version.
    return newest is None or newest.pk == old.pk or one.pk < newest.pk
