"""Spaces and their tiers: moving to another one, and what keeps a tier from being deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from hardware import replicas
from hardware.models import HardwareTier, Replica
from hardware.tiers import DEFAULT, TIERS, choosing, tier
from spaces import lifecycle
from spaces.models import Space
from spaces.secrets import environment

if TYPE_CHECKING:
    from accounts.models import Owner


class InUse(Exception):
    """The tier cannot be deleted; the message gives the reason and what to do."""


@transaction.atomic
def move(space: Space, tier_name: str) -> None:
    """Move the Space to another tier; visitors stay where they are until it runs there.

    Raises:
        hardware.tiers.UnknownTier
    """
    if (known := tier(tier_name).name) != space.hardware:
        space.hardware = choosing.choose(known, space.owner_id)
    space.save(update_fields=["hardware", "last_modified"])
    lifecycle.environment_changed(space)


@transaction.atomic
def cancel_move(space: Space) -> bool:
    """Keep the Space on the hardware that serves it. False: none does, or it does not move. What serves goes
    on, unless the order for the new hardware brings more, like a new variable: then it is replaced."""
    space = Space.objects.select_for_update(of=("self",)).select_related("owner", "replica").get(pk=space.pk)
    serving = space.replica
    if serving is None or serving.state != Replica.State.READY or serving.tier == space.hardware:
        return False
    space.hardware = serving.tier
    space.save(update_fields=["hardware", "last_modified"])
    ordered = list(space.replicas.filter(wanted=True, set_aside_at=None, beside=None, pk__gt=serving.pk))
    if any(replicas.brings_more(row, serving, environment(space)) for row in ordered):
        lifecycle.environment_changed(space)
        return True
    for row in ordered:
        replicas.order_stop(row)
    lifecycle.replica_changed(serving.pk)
    return True


def check(owner: Owner, space: Space) -> None:
    """A Space keeps its hardware under another owner.

    Raises:
        hardware.tiers.UnknownTier: which may not have it.
    """
    if owner.pk != space.owner_id:
        choosing.choose(space.hardware, owner.pk)


@transaction.atomic
def delete(row: HardwareTier) -> None:
    """Delete a tier that nothing uses.

    Raises:
        InUse
    """
    row = HardwareTier.objects.select_for_update().get(pk=row.pk)
    if row.name == DEFAULT:
        raise InUse(f"New Spaces are on {row.title} hardware, so it stays.")
    on_it = Space.objects.filter(hardware=row.name).count()
    if on_it:
        some = f"{on_it} Space{'s are' if on_it > 1 else ' is'}"
        raise InUse(f"{some} on {row.title} hardware. Move them first, or close it to new ones.")
    ended = [Replica.State.STOPPED, Replica.State.FAILED]
    if Replica.objects.filter(tier=row.name).exclude(state__in=ended).exists():
        raise InUse(f"A Space still runs on {row.title} hardware. It is on its way to other hardware.")
    row.delete()
    transaction.on_commit(TIERS.forget)
