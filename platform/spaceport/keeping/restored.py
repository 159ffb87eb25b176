"""Corrects rows after a restore: what they state about nodes, addresses and files."""

from __future__ import annotations

from django.conf import settings
from django.utils import timezone

from hardware import nodes
from hardware.models import Replica, VolumeHome
from hardware.runtimes import choose
from queueing import queue_settings
from spaceport.keeping.parts import Report
from spaces import lifecycle, publishing
from spaces.following import FOLLOWED
from spaces.git import repository
from spaces.lfs import references, store
from spaces.models import LargeFile, Sdk, Secret, Space, Webhook


def _spaces() -> list[Space]:
    return list(Space.objects.select_related("owner", "replica__node").order_by("pk"))


def drop_deleted(report: Report) -> None:
    """Spaces that were deleted between the dump of the database and the copy of their repository."""
    for space in _spaces():
        if not repository.folder_of(space.pk).is_dir():
            report(f"{space} was deleted while the backup was made")
            publishing.withdraw(space)
            space.delete()


def drop_secrets() -> None:
    """Drop the secrets that only the lost key decrypts."""
    Secret.objects.all().delete()
    Webhook.objects.update(secret=None)
    Replica.objects.all().delete()


def keep_here(volumes: list[int]) -> None:
    """These named volumes of the container engine are kept where this machine's are."""
    if volumes:
        place = choose(settings.SPACEPORT_RUNTIME).place
        VolumeHome.objects.filter(volume_id__in=volumes).update(place=place)


def take_off_nodes() -> None:
    """No replica runs: those that are wanted start where a node takes them. At the address of each may be
    anything now."""
    active = Replica.objects.filter(state__in=nodes.ACTIVE)
    nowhere = {"address": "", "runtime_id": "", "node": None}
    wanted = {"wanted": True, "set_aside_at": None}
    active.filter(**wanted).update(
        state=Replica.State.PENDING, reason="It is started again, after a restore.", **nowhere
    )
    # Those that are left: the first have another state now.
    active.update(state=Replica.State.STOPPED, wanted=False, ended_at=timezone.now(), **nowhere)


def publish() -> None:
    """Routes and settings, as the rows have them."""
    for space in _spaces():
        publishing.publish(space)
        queue_settings.change(space.pk, {})


def finish_pushes(report: Report) -> None:
    """Commits that came after the dump of the database are taken in, as those of a push whose web process
    ended."""
    for space in _spaces():
        head = repository.head(space)
        if head and head != space.sha:
            report(f"{space} got {head[:7]} while the backup was made")
            _add_missing(space)
            lifecycle.pushed(space)


def _add_missing(space: Space) -> None:
    """Give the Space the stored objects that its pointers need: a push has pointers only at objects of its
    Space."""
    present = set(space.large_files.values_list("oid", flat=True))
    found = {oid: store.size_of(oid) for oid in references.referenced(space) - present}
    LargeFile.objects.bulk_create(
        [LargeFile(space=space, oid=oid, size_bytes=size) for oid, size in found.items() if size is not None],
        ignore_conflicts=True,
    )


def report_missing(report: Report) -> None:
    """Report large files that are missing from the store."""
    for row in LargeFile.objects.select_related("space__owner").iterator():
        if store.size_of(row.oid) is None:
            report(f"{row.space}: the large file {row.oid} is missing")


def build_again() -> None:
    """Build Spaces that ran and whose replicas' orders cannot be read any more."""
    for space in _spaces():
        if space.stage in FOLLOWED and space.sdk != Sdk.STATIC:
            lifecycle.restart(space, factory=True)
