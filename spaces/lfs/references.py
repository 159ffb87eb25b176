"""The objects that a Space's branches, tags and kept versions point at. All others are removed from the Space
after a while: files that were sent and never committed, and those of a history that was rewritten."""

from __future__ import annotations

import subprocess
from datetime import timedelta

from django.db.models.functions import Mod
from django.utils import timezone

from infra.file_locks import try_lock
from spaces.git import locks, objects, repository
from spaces.git.objects import Objects
from spaces.lfs.collection import GRACE_S
from spaces.lfs.pointers import SIZES, parsed
from spaces.models import LargeFile, Space

HOURS = 24


def release_all(hour: int) -> None:
    """Let go of what nothing points at; a part of the Spaces each hour, all of them in a day."""
    old = LargeFile.objects.filter(held_at__lt=timezone.now() - timedelta(seconds=GRACE_S))
    spaces = Space.objects.annotate(turn=Mod("pk", HOURS)).filter(turn=hour)
    for space in spaces.filter(pk__in=old.values("space_id")):
        release(space)


def release(space: Space) -> int:
    """Let go of what nothing points at, but what came just now; how many objects that were. Nothing while
    somebody writes to the repository: the next time does."""
    with (repository.folder_of(space.pk) / locks.WRITERS).open("ab") as lock:
        if not objects.installed() or not try_lock(lock):
            return 0
        before = timezone.now() - timedelta(seconds=GRACE_S)
        rows = space.large_files.filter(held_at__lt=before).exclude(oid__in=referenced(space))
        return rows.delete()[0]


def referenced(space: Space) -> set[str]:
    """Ids of the large files that a branch, a tag, or a version that can be gone back to has."""
    return set(pointers(space).values())


def pointers(space: Space) -> dict[str, str]:
    """The same with the pointers there: the object of git's, and the large file that it points at."""
    folder = repository.folder_of(space.pk)
    kept = space.builds.filter(artifact__isnull=False).values_list("sha", flat=True)
    roots = [f"{sha}^{{tree}}" for sha in {*kept, space.rolled_back_to} - {""}]  # without their history
    form = ("--objects", "--all", "--ignore-missing", f"--filter=blob:limit={SIZES.stop}")
    listed = subprocess.run(  # noqa: S603
        objects.git(folder, "rev-list", *form, *roots, "--"),
        stdin=subprocess.DEVNULL, capture_output=True, check=True,
    )  # fmt: skip
    oids = [line.split(b" ", 1)[0].decode() for line in listed.stdout.splitlines()]
    with Objects(folder) as found:
        small = [oid for oid, size in found.sizes(oids).items() if size in SIZES]
        read = {oid: parsed(found.content(oid)) for oid in small}
    return {oid: pointer.oid for oid, pointer in read.items() if pointer is not None}
