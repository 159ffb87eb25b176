"""Spaces and their tiers: moving to another one, and what keeps a tier from being deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from hardware.models import HardwareTier, Replica
from hardware.tiers import DEFAULT, TIERS, choosing, tier
from spaces import lifecycle
from spaces.models import Space

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
