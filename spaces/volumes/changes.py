"""Making and deleting volumes, and changing those of a Space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction

from accounts.models import Owner
from hardware.upkeep import volumes
from spaces import lifecycle, names
from spaces.models import Space, Volume
from spaces.volumes import mounts
from spaces.volumes.mounts import Refused, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable


class InUse(Refused):
    """Spaces have this volume."""


class AlreadyExists(Refused):
    """The owner has a volume of this name."""


def create(owner: Owner, name: str) -> Volume:
    """A new, empty volume.

    Raises:
        names.BadRepoId, AlreadyExists, Refused
    """
    names.check_repo_name(name)
    most = settings.SPACEPORT_VOLUMES_PER_OWNER
    with transaction.atomic():
        Owner.objects.select_for_update().get(pk=owner.pk)
        if there := Volume.objects.filter(owner=owner, name__iexact=name).first():
            raise AlreadyExists(f"You already created this volume: {there}.")
        if owner.volumes.count() >= most:
            raise Refused(f"{owner} has {most} volumes, which is the most there may be. Delete one first.")
        return Volume.objects.create(owner=owner, name=name)


@transaction.atomic
def delete(volume: Volume) -> None:
    """Delete a volume with all its contents.

    Raises:
        InUse
    """
    Volume.objects.select_for_update().get(pk=volume.pk)
    users = sorted({str(row.space) for row in volume.mounts.select_related("space__owner")})
    if users:
        shown = ", ".join(users[:3]) + (f" and {len(users) - 3} more" if len(users) > 3 else "")
        raise InUse(f"{volume} is mounted by {shown}. Unmount it there first.")
    volumes.forget(volume.pk)
    volume.delete()


def mount(space: Space, wanted: list[Wanted]) -> None:
    """Give the Space these volumes in place of those it has. One that runs starts anew with them.

    Raises:
        Refused, spaces.card.CardError
    """
    with transaction.atomic():
        owner_id = Space.objects.select_for_update().values_list("owner_id", flat=True).get(pk=space.pk)
        _must_be_there(wanted, owner_id)
        before = set(space.mounts.values_list("volume_id", "path", "read_only"))
        if before == {(one.volume.pk, one.path, one.read_only) for one in wanted}:
            return
        space.mounts.all().delete()
        mounts.add(space, wanted)
    lifecycle.environment_changed(space)


def _must_be_there(wanted: Iterable[Wanted], owner_id: int) -> None:
    """A volume may have been deleted, or the Space moved, since it was read."""
    ids = {one.volume.pk for one in wanted}
    there = Volume.objects.select_for_update().filter(pk__in=ids, owner_id=owner_id)
    if len(there) != len(ids):
        raise Refused("This changed just now; try again.")


def unmount(space: Space, mount_id: int) -> None:
    """Take one from the Space.

    Raises:
        Refused, spaces.card.CardError
    """
    mount(space, mounts.now(space, but=mount_id))
