"""Named volumes and nodes: each volume is kept in one place, that of the node where a Space had it first, and
Spaces that have it run on nodes of that place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from hardware.models import Deleted, Node, Replica, VolumeHome

if TYPE_CHECKING:
    from hardware.runtimes.base import Runtime

COUNT_EVERY_S = 300.0


def claim(row: Replica, place: str) -> bool:
    """Keep its volumes here, those that are nowhere yet. False: one is elsewhere."""
    for volume_id in row.volumes:
        home, _ = VolumeHome.objects.get_or_create(volume_id=volume_id, defaults={"place": place})
        if home.place != place:
            return False
    return True


def count(node: str, runtime: Runtime) -> None:
    """Note the sizes of the volumes that are kept where this node keeps its own."""
    place = Node.objects.values_list("place", flat=True).get(name=node)
    for volume_id, use in runtime.volume_uses().items():
        VolumeHome.objects.filter(volume_id=volume_id, place=place).update(
            size_bytes=use.size_bytes, files=use.files
        )


@transaction.atomic
def forget(volume_id: int) -> None:
    """It was deleted: its nodes remove what they keep of it."""
    VolumeHome.objects.filter(volume_id=volume_id).delete()
    Deleted.objects.create(volume_id=volume_id)
