"""Which Space has which large file. Each was uploaded to the Space, or was in a Space that its uploader may
read: knowing a hash gives access to nothing."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.utils import timezone

from accounts import access
from spaces.lfs import store
from spaces.lfs.pointers import Pointer
from spaces.lfs.store import Incoming, Refused
from spaces.models import LargeFile, Space

CANDIDATES = 50  # Spaces with an object that are tried, to find one that a user may read


def sizes(space_id: int, oids: Iterable[str]) -> dict[str, int]:
    """The sizes of those of these objects that the Space has."""
    found = LargeFile.objects.filter(space_id=space_id, oid__in=set(oids))
    return dict(found.values_list("oid", "size_bytes"))


def has(space_id: int, pointer: Pointer) -> bool:
    """Whether the Space has this object."""
    return sizes(space_id, [pointer.oid]).get(pointer.oid) == pointer.size


def used(space_id: int) -> int:
    """Bytes of all objects of a Space."""
    total = LargeFile.objects.filter(space_id=space_id).aggregate(total=Sum("size_bytes"))["total"]
    return int(total or 0)


def add(space_id: int, pointer: Pointer) -> None:
    """Give the Space this object, which is in the store. Call it within `store.adding`.

    Raises:
        Refused: the Space would have too much, or is not there any more.
    """
    try:
        with transaction.atomic():
            if not Space.objects.select_for_update().filter(pk=space_id).exists():
                raise Refused(404, "This Space does not exist any more.")
            if LargeFile.objects.filter(space_id=space_id, oid=pointer.oid).update(held_at=timezone.now()):
                return
            check_fits(space_id, pointer.size)
            LargeFile.objects.create(space_id=space_id, oid=pointer.oid, size_bytes=pointer.size)
    except IntegrityError as error:  # another request added it at the same moment
        raise Refused(409, "This Space changes just now; try again.") from error


def keep(space_id: int, incoming: Incoming) -> None:
    """Put what came into the store, for this Space.

    Raises:
        Refused: it is not what was announced, or the Space would have too much.
    """
    with store.adding():
        incoming.keep()
        add(space_id, Pointer(incoming.oid, incoming.size))


def check_fits(space_id: int, size: int) -> None:
    """Whether the Space may have so many more bytes.

    Raises:
        Refused
    """
    most_of_one, most = settings.SPACEPORT_LFS_FILE_LIMIT_BYTES, settings.SPACEPORT_LFS_SPACE_LIMIT_BYTES
    if size > most_of_one:
        raise Refused(413, f"The file has {size:,} bytes; at most {most_of_one:,} are taken.")
    if (now := used(space_id)) + size > most:
        raise Refused(
            413,
            f"With this file of {size:,} bytes the large files of this Space, its history included, would "
            f"have {now + size:,}; at most {most:,} are kept.",
        )


def borrow(space_id: int, user: access.Account, pointer: Pointer) -> bool:
    """Give the Space an object that it has already, or that another Space has where this user may read it;
    False if there is none.

    Raises:
        Refused
    """
    with store.adding():
        if store.size_of(pointer.oid) != pointer.size:
            return False
        mine = LargeFile.objects.filter(space_id=space_id, oid=pointer.oid, size_bytes=pointer.size)
        if mine.update(held_at=timezone.now()):
            return True
    others = LargeFile.objects.filter(oid=pointer.oid, size_bytes=pointer.size).select_related("space")
    candidates = others.order_by("-space__visibility")[:CANDIDATES]  # public ones first
    if not any(access.can_read(user, one.space.owner_id, one.space.visibility) for one in candidates):
        return False
    with store.adding():
        if store.size_of(pointer.oid) != pointer.size:
            return False
        add(space_id, pointer)
    return True


def copy(source_id: int, target_id: int) -> None:
    """Give a copy of a Space all the objects of the Space."""
    with store.adding():
        rows = LargeFile.objects.filter(space_id=source_id)
        LargeFile.objects.bulk_create(
            [LargeFile(space_id=target_id, oid=row.oid, size_bytes=row.size_bytes) for row in rows],
            ignore_conflicts=True,
        )
