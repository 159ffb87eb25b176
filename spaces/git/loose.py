"""Objects written into a repository piece by piece. They get their names when they are complete: writers of
one object do not wait for each other, and one that dies leaves nothing that git takes for an object."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dulwich.objects import ObjectID

CHUNK = 256 * 1024
FAST = 1  # zlib's level, as git's own for loose objects


@dataclass(frozen=True, slots=True)
class Draft:
    """An object that is not in the repository yet. `size` in bytes, unpacked."""

    oid: ObjectID
    size: int
    _written: Path
    _name: Path

    def keep(self) -> None:
        """Put it into the repository."""
        self._name.parent.mkdir(exist_ok=True)
        self._written.chmod(0o444)
        self._written.replace(self._name)


@contextlib.contextmanager
def drafted(folder: Path, kind: str, content: IO[bytes]) -> Iterator[Draft]:
    """An object of this seekable file; thrown away unless it is kept within the block."""
    size = content.seek(0, os.SEEK_END)
    content.seek(0)
    header = f"{kind} {size}\0".encode()
    digest, packer = hashlib.sha1(header, usedforsecurity=False), zlib.compressobj(FAST)
    # git clears files of this name away when they are old.
    out = tempfile.NamedTemporaryFile(dir=folder / "objects", prefix="tmp_obj_", delete=False)  # noqa: SIM115
    written = Path(out.name)
    try:
        with out:
            out.write(packer.compress(header))
            while chunk := content.read(CHUNK):
                digest.update(chunk)
                out.write(packer.compress(chunk))
            out.write(packer.flush())
        oid = digest.hexdigest()
        yield Draft(ObjectID(oid.encode()), size, written, name_of(folder, oid))
    finally:
        written.unlink(missing_ok=True)


def name_of(folder: Path, oid: str) -> Path:
    """Where a loose object lies."""
    return folder / "objects" / oid[:2] / oid[2:]


def freshen(folder: Path, oid: str) -> None:
    """Keep an object that is there from being cleared away as an old one that nothing points at."""
    with contextlib.suppress(FileNotFoundError):
        os.utime(name_of(folder, oid))
