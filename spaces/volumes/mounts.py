"""Which volumes a Space has, and which it may be given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from django.db.models import prefetch_related_objects

from hardware import nodes
from hardware.runtimes import mount_paths
from hardware.runtimes.base import NamedVolume
from spaces.models import Mount, Volume
from spaces.sdk import Sdk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from accounts.models import Owner
    from spaces.models import Space

MOST = 10  # of one Space
#: Other mounts of the Hub, and what a Space here uses instead.
NOT_HERE = {
    "model": "There are no models here to mount: a Space downloads what it needs, and keeps it cached.",
    "dataset": "There are no data sets here to mount: a Space downloads what it needs, and keeps it cached.",
    "space": "Files of other Spaces are not mounted: snapshot_download(…, repo_type='space') loads them.",
}


class Refused(ValueError):
    """A Space cannot have these volumes so; the message gives the reason."""


class Wanted(NamedTuple):
    """A volume that a Space is to have."""

    volume: Volume
    path: str
    read_only: bool


class _Sent(msgspec.Struct):
    """A volume as the Hub's clients send it."""

    type: str
    source: str
    mountPath: str  # the wire's name
    readOnly: bool | None = None  # the wire's name
    revision: str | None = None
    path: str | None = None


def read(items: Any, owner: Owner, *, tier: str, sdk: str) -> list[Wanted]:
    """The volumes that a client wants for a Space of this owner.

    Raises:
        Refused, msgspec.ValidationError
    """
    sent = msgspec.convert(items or [], list[_Sent])
    return checked([_named(one, owner) for one in sent], tier=tier, sdk=sdk)


def _named(sent: _Sent, owner: Owner) -> Wanted:
    if sent.type != "bucket":
        raise Refused(NOT_HERE.get(sent.type, f"A volume's type is bucket, not '{sent.type[:40]}'."))
    if sent.revision:
        raise Refused("A volume has no revisions: leave out revision.")
    if sent.path:
        raise Refused("A volume is mounted as a whole: leave out the folder in it.")
    namespace, _, name = sent.source.partition("/")
    if namespace.lower() != owner.name.lower():
        raise Refused(
            f"Spaces of {owner} have volumes of {owner} alone, not '{sent.source[:100]}': a volume is shared "
            "between Spaces of one owner."
        )
    volume = Volume.objects.filter(owner=owner, name__iexact=name).first()
    if volume is None:
        raise Refused(
            f"There is no volume {owner}/{name[:96]}. Make it first: hf buckets create {owner}/{name[:96]}"
        )
    return Wanted(volume, sent.mountPath.rstrip("/"), bool(sent.readOnly))


def checked(wanted: list[Wanted], *, tier: str, sdk: str) -> list[Wanted]:
    """The same, if a Space can have them.

    Raises:
        Refused
    """
    if wanted and sdk == Sdk.STATIC:
        raise Refused("A static Space runs no program that could use a volume.")
    if len(wanted) > MOST:
        raise Refused(f"A Space may have at most {MOST} volumes.")
    try:
        mount_paths.check(one.path for one in wanted)
        if any(node.runtime == "process" for node in nodes.up(tier)):
            for one in wanted:
                mount_paths.in_home(one.path, read_only=one.read_only)
    except mount_paths.BadMount as error:
        raise Refused(str(error)) from error
    return wanted


def add(space: Space, wanted: list[Wanted]) -> None:
    """Note that the Space has these too."""
    Mount.objects.bulk_create(
        Mount(space=space, volume=one.volume, path=one.path, read_only=one.read_only) for one in wanted
    )


def now(space: Space, *, but: int = 0) -> list[Wanted]:
    """What the Space has, but the mount of this number."""
    rows = space.mounts.exclude(pk=but).select_related("volume__owner")
    return [Wanted(row.volume, row.path, row.read_only) for row in rows]


def of(space: Space) -> tuple[NamedVolume, ...]:
    """Those of a Space, for its replicas."""
    rows = space.mounts.select_related("volume__owner").order_by("path")
    return tuple(
        NamedVolume(volume_id=row.volume_id, name=str(row.volume), path=row.path, read_only=row.read_only)
        for row in rows
    )


def numbers(space: Space) -> list[int]:
    """The same, by the numbers of the volumes."""
    return list(space.mounts.values_list("volume_id", flat=True))


def described(space: Space) -> list[dict[str, Any]]:
    """The same, as the Hub's clients expect them."""
    rows = sorted(space.mounts.all(), key=lambda row: row.path)  # which lists read beforehand (`load`)
    return [
        {"type": "bucket", "source": str(row.volume), "mountPath": row.path, "readOnly": row.read_only}
        for row in rows
    ]


def load(spaces: Iterable[Space]) -> None:
    """Read those of many Spaces at once."""
    prefetch_related_objects(list(spaces), "mounts__volume__owner")
