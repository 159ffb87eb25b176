"""A commit's files on this machine's disk, for a build."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from django.conf import settings
from dulwich.object_store import iter_tree_contents
from dulwich.objects import Blob

from spaces.git.bounds import Extents, TooMuch
from spaces.git.objects import Objects
from spaces.git.repository import folder_of, opened, tree_id
from spaces.git.repository_paths import check_path
from spaces.lfs import holdings, store
from spaces.lfs.pointers import parsed

if TYPE_CHECKING:
    from pathlib import Path

    from spaces.models import Space


def export(space: Space, commit: str, folder: Path) -> None:
    """Write a commit's files below `folder`. Links and submodules are left out: they could lead outside.

    Raises:
        BadPath, bounds.TooMuch
    """
    folder.mkdir(parents=True, exist_ok=True)
    large_bytes = 0
    with opened(space.pk) as repo, Objects(folder_of(space.pk)) as objects:
        root = tree_id(repo, commit)
        Extents(objects.items, objects.sizes, settings.SPACEPORT_PUSH_LIMIT_BYTES).of(root.decode())
        for item in iter_tree_contents(repo.object_store, root):
            if item.mode is None or item.path is None or item.sha is None or not stat.S_ISREG(item.mode):
                continue
            path = check_path(item.path.decode("utf-8", "replace"))
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            blob = repo[item.sha]
            assert isinstance(blob, Blob)
            pointer = parsed(blob.data)
            if pointer is not None and holdings.has(space.pk, pointer):
                large_bytes += pointer.size
                _check_large(large_bytes)
                store.link(pointer.oid, target, executable=bool(item.mode & 0o100))
                continue
            target.write_bytes(blob.data)
            target.chmod(0o755 if item.mode & 0o100 else 0o644)


def _check_large(size: int) -> None:
    """A build copies files: one object at many paths is as many files."""
    if size > (most := settings.SPACEPORT_LFS_SPACE_LIMIT_BYTES):
        raise TooMuch(f"Its large files have more than {most:,} bytes together.")
