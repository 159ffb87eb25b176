"""The objects on disk, by the sha256 of their content. What comes is written beside them, hashed on the way,
and gets its name when it is complete and matches its declared size and hash."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from django.conf import settings

from infra.file_locks import try_lock
from infra.folders import private
from spaces.lfs.pointers import OID

READ_ONLY = 0o444
CHECK_EVERY_BYTES = 64 * 1024 * 1024  # between two checks of how full the disk is
CHUNK = 1024 * 1024


class Refused(Exception):
    """A refused upload or download; the message is a sentence with the reason. `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def home() -> Path:
    """The store's folder."""
    return private(Path(settings.SPACEPORT_HOME) / "lfs")


def check_oid(oid: str) -> str:
    """The id, if an object can have it.

    Raises:
        Refused
    """
    if not OID.fullmatch(oid):
        raise Refused(422, f"'{oid[:80]}' is no SHA-256 in 64 lower-case hexadecimal digits.")
    return oid


def path_of(oid: str) -> Path:
    """Where the object lies, once it is there.

    Raises:
        Refused
    """
    check_oid(oid)
    return home() / "objects" / oid[:2] / oid[2:4] / oid


def spool() -> Path:
    """Where objects are while they come, on the same file system."""
    return private(home() / "spool")


def size_of(oid: str) -> int | None:
    """Bytes of this object; None where it is not there."""
    try:
        return path_of(oid).stat().st_size
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def adding() -> Iterator[None]:
    """An object gets its name and its first holder: nothing is collected meanwhile."""
    with _locked(fcntl.LOCK_SH):
        yield


@contextlib.contextmanager
def collecting() -> Iterator[None]:
    """Objects that no Space has are removed: none is given to a Space meanwhile."""
    with _locked(fcntl.LOCK_EX):
        yield


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Nothing is removed from the store meanwhile: it is copied."""
    with _locked(fcntl.LOCK_SH, "kept"):
        yield


@contextlib.contextmanager
def may_remove() -> Iterator[bool]:
    """Whether it is not copied just now; nobody begins to within the block."""
    with (home() / "kept").open("ab") as lock:
        yield try_lock(lock)


@contextlib.contextmanager
def _locked(how: int, name: str = "lock") -> Iterator[None]:
    with (home() / name).open("ab") as lock:
        fcntl.flock(lock, how)
        yield


def check_room(size: int, space_id: int) -> None:
    """Whether so many more bytes may come for this Space now.

    Raises:
        Refused
    """
    if reason := fault(size):
        raise Refused(507, reason)
    mine, all_of_them = coming(space_id)
    if all_of_them + size > settings.SPACEPORT_LFS_SPOOL_LIMIT_BYTES:
        raise Refused(507, "Too many large files are on their way here; try again later.")
    if mine + size > settings.SPACEPORT_LFS_SPACE_LIMIT_BYTES:
        raise Refused(507, "Too many large files are on their way to this Space; try again later.")


def fault(size: int = 0) -> str:
    """Why the disk takes no file of so many bytes; "" where it does."""
    free, kept = shutil.disk_usage(home()).free, settings.SPACEPORT_LFS_FREE_BYTES
    if free - size >= kept:
        return ""
    return (
        f"The disk of this platform has no room for {size:,} more bytes: it has {max(free - kept, 0):,} "
        "for large files. Ask its administrator."
    )


def coming(space_id: int) -> tuple[int, int]:
    """Bytes on disk of what is on its way, to this Space and to all."""
    mine = total = 0
    for entry in os.scandir(spool()):
        with contextlib.suppress(FileNotFoundError):  # just complete
            size = entry.stat().st_blocks * 512
            total += size
            mine += size if entry.name.startswith(f"{space_id}-") else 0
    return mine, total


def complete(written: Path, oid: str) -> None:
    """Give what was written its name. It is on the disk when this returns."""
    target = path_of(oid)
    for folder in (target.parent.parent.parent, target.parent.parent, target.parent):
        private(folder)
    written.chmod(READ_ONLY)
    written.replace(target)
    folder_fd = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder_fd)
    finally:
        os.close(folder_fd)


def link(oid: str, target: Path, *, executable: bool) -> None:
    """The object as a file of a build: by a hard link where that is possible, never to be written through.

    Raises:
        FileNotFoundError
    """
    source = path_of(oid)
    if not executable:  # a link would have the mode of all the others
        with contextlib.suppress(OSError):
            os.link(source, target)
            return
    shutil.copyfile(source, target)
    target.chmod(0o755 if executable else 0o644)


class Incoming:
    """An object on its way: thrown away unless it is kept within the block."""

    def __init__(self, space_id: int, oid: str, size: int) -> None:
        """
        Raises:
            Refused: there is no room for it.
        """
        self.oid, self.size = check_oid(oid), size
        self._space_id = space_id
        check_room(size, space_id)
        number, name = tempfile.mkstemp(dir=spool(), prefix=f"{space_id}-")
        self._file, self._written = os.fdopen(number, "wb", buffering=0), Path(name)
        self._digest, self._bytes, self._checked = hashlib.sha256(), 0, 0

    def __enter__(self) -> Incoming:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        self._file.close()
        self._written.unlink(missing_ok=True)

    def write(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            Refused: there are more of them than were announced, or the disk is full.
        """
        self._bytes += len(chunk)
        if self._bytes > self.size:
            raise Refused(422, f"More than the announced {self.size:,} bytes came.")
        if self._bytes - self._checked > CHECK_EVERY_BYTES:
            self._checked = self._bytes
            check_room(0, self._space_id)
        self._digest.update(chunk)
        with full_disk():
            left = memoryview(chunk)
            while left:
                left = left[self._file.write(left) :]

    def keep(self) -> None:
        """Put it into the store.

        Raises:
            Refused: it is not what was announced.
        """
        check_content(self.oid, self.size, self._digest.hexdigest(), self._bytes)
        with full_disk():
            os.fsync(self._file.fileno())
            complete(self._written, self.oid)


def check_content(oid: str, size: int, found_oid: str, found_size: int) -> None:
    """Whether what came is what was announced.

    Raises:
        Refused
    """
    if found_size != size:
        raise Refused(422, f"{found_size:,} bytes came, but {size:,} were announced; send the file again.")
    if found_oid != oid:
        raise Refused(
            422, f"What came has the SHA-256 {found_oid}, but {oid} was announced; send the file again."
        )


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Answers a disk that is full after all, in words."""
    try:
        yield
    except OSError as error:
        raise Refused(507, f"The disk of this platform takes no more: {error.strerror}.") from error
