"""A repository as a tar, so that equal contents make equal layers. Links stay links."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import IO

SKIP = {".git"}


def writing(file: IO[bytes]) -> tarfile.TarFile:
    """A tar that is written to `file`."""
    return tarfile.open(fileobj=file, mode="w")


def add_folder(tar: tarfile.TarFile, name: str, owner: int) -> None:
    """An empty folder of this user's."""
    folder = tarfile.TarInfo(name)
    folder.type, folder.mode = tarfile.DIRTYPE, 0o755
    folder.uid = folder.gid = owner
    tar.addfile(folder)


def add(tar: tarfile.TarFile, source: Path, prefix: str, owner: int, *, without: str = "") -> None:
    """The files below `source`, named with `prefix`, of this user's; not the one named `without`."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        """No time, no special bits: the layer cache goes by contents, and nothing is set-uid."""
        entry.uid = entry.gid = owner
        entry.mtime = 0
        entry.uname = entry.gname = ""
        entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
        return entry

    for parent, folders, names in os.walk(source):
        folders[:] = sorted(set(folders) - SKIP)
        for name in sorted([*folders, *names]):
            path = Path(parent) / name
            inside = prefix + str(path.relative_to(source))
            if inside != without and (path.is_symlink() or path.is_dir() or path.is_file()):
                tar.add(path, inside, recursive=False, filter=plain)
