"""Which owners may choose which tiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Q

from hardware.models import HardwareTier
from hardware.tiers import UnknownTier, tier

if TYPE_CHECKING:
    from collections.abc import Iterable


class NotOffered(UnknownTier):
    """There is such hardware, but not for this Space."""


@transaction.atomic
def choose(name: str, owner_id: int) -> str:
    """The name of the tier of this name or flavor, for a Space of this owner. In a transaction of the
    caller's it is not deleted before that is over.

    Raises:
        UnknownTier
        NotOffered: it is closed, or for others.
    """
    found = tier(name)
    row = HardwareTier.objects.select_for_update(no_key=True).filter(name=found.name).first()
    if row is None:
        raise UnknownTier(f"There is no hardware '{name}' any more.")
    if row.is_closed:
        raise NotOffered(f"{row.title} hardware takes no more Spaces. Choose other hardware.")
    if row.is_restricted and not row.owners.filter(pk=owner_id).exists():
        raise NotOffered(f"{row.title} hardware is for some owners only. Choose other, or ask for it.")
    return row.name


def offered(owner_ids: Iterable[int]) -> set[str]:
    """The names of the tiers that Spaces of these owners may choose."""
    may = Q(is_restricted=False) | Q(owners__in=list(owner_ids))
    return set(HardwareTier.objects.filter(may, is_closed=False).values_list("name", flat=True))
