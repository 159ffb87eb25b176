"""Large files that come in parts, each by itself and any of them again: what is there stays when the sender's
connection, or our process, ends. The parts are one file with holes; a note beside it says which are
complete, and what was in them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spaces.lfs import holdings, store
from spaces.lfs.addresses import Grant
from spaces.lfs.pointers import Pointer
from spaces.lfs.store import CHECK_EVERY_BYTES, CHUNK, READ_ONLY, Refused, full_disk

FROM_BYTES = 64 * 1024 * 1024  # smaller files come in one piece
PART_BYTES = 32 * 1024 * 1024
PARTS = 1000


@dataclass(frozen=True, slots=True)
class Upload:
    """One object on its way to one Space; a repeated request gets the same one."""

    space_id: int
    pointer: Pointer
    part_bytes: int

    @classmethod
    def of(cls, given: Grant) -> Upload:
        """The one that an address is about."""
        return cls(given.space_id, Pointer(store.check_oid(given.oid), given.size), given.part_bytes)

    @property
    def parts(self) -> int:
        """How many they are."""
        return -(-self.pointer.size // self.part_bytes)

    def length_of(self, part: int) -> int:
        """Bytes of this part, counted from 1."""
        return min(self.part_bytes, self.pointer.size - (part - 1) * self.part_bytes)

    @property
    def data(self) -> Path:
        """The file with holes."""
        return store.spool() / f"{self.space_id}-{self.pointer.oid}-{self.pointer.size}-{self.part_bytes}"

    def note_of(self, part: int) -> Path:
        """The note that this part is complete."""
        return self.data.with_name(f"{self.data.name}.{part}")

    def tag_of(self, part: int) -> str:
        """The SHA-256 of this part; "" while it is not complete."""
        try:
            return self.note_of(part).read_text() if self.data.exists() else ""
        except FileNotFoundError:
            return ""

    def forget(self) -> None:
        """Remove all of it."""
        for path in store.spool().glob(f"{self.data.name}*"):
            path.unlink(missing_ok=True)


def part_bytes_of(size: int) -> int:
    """How long the parts of a file are."""
    return max(PART_BYTES, -(-size // PARTS))


class IncomingPart:
    """A part on its way; its note is written when it is kept within the block."""

    def __init__(self, upload: Upload, part: int) -> None:
        """
        Raises:
            Refused
        """
        self._upload, self._part = upload, part
        store.check_room(upload.length_of(part), upload.space_id)
        self._file = os.open(upload.data, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_SH)
            _check_same(self._file, upload.data)
        except BaseException:
            os.close(self._file)
            raise
        upload.note_of(part).unlink(missing_ok=True)
        self._at = (part - 1) * upload.part_bytes
        self._bytes, self._checked, self._digest = 0, 0, hashlib.sha256()

    def __enter__(self) -> IncomingPart:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def write(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            Refused: there are more of them than the part has, or the disk is full.
        """
        if self._bytes + len(chunk) > (most := self._upload.length_of(self._part)):
            raise Refused(422, f"More came than the {most:,} bytes of this part.")
        if self._bytes - self._checked > CHECK_EVERY_BYTES:
            self._checked = self._bytes
            store.check_room(0, self._upload.space_id)
        self._digest.update(chunk)
        with full_disk():
            left = memoryview(chunk)
            while left:
                written = os.pwrite(self._file, left, self._at + self._bytes)
                self._bytes += written
                left = left[written:]

    def keep(self) -> str:
        """Note that it is there; its tag.

        Raises:
            Refused: it is too short.
        """
        if self._bytes != (length := self._upload.length_of(self._part)):
            raise Refused(422, f"{self._bytes:,} bytes came of the {length:,} of this part; send it again.")
        tag = self._digest.hexdigest()
        with full_disk():
            self._upload.note_of(self._part).write_text(tag)
        return tag


def complete(upload: Upload, named: Iterable[tuple[int, str]]) -> None:
    """Make the object of its parts, which the sender names by number and tag. Once it is there, again is no
    error.

    Raises:
        Refused
    """
    there = store.size_of(upload.pointer.oid) == upload.pointer.size
    if there and holdings.has(upload.space_id, upload.pointer):
        return
    _check_parts(upload, dict(named))
    with _alone(upload) as file:
        digest, size = hashlib.sha256(), 0
        while chunk := os.pread(file, CHUNK, size):
            digest.update(chunk)
            size += len(chunk)
        try:
            store.check_content(upload.pointer.oid, upload.pointer.size, digest.hexdigest(), size)
        except Refused:
            upload.forget()  # one of them is wrong, and nobody knows which
            raise
        with full_disk():
            os.fsync(file)
        with store.adding():
            with full_disk():
                store.complete(upload.data, upload.pointer.oid)
            holdings.add(upload.space_id, upload.pointer)
    upload.forget()


def _check_parts(upload: Upload, named: dict[int, str]) -> None:
    for part in range(1, upload.parts + 1):
        tag = upload.tag_of(part)
        if not tag:
            raise Refused(409, f"Part {part} of {upload.parts} is not here; send it, then complete again.")
        if named.get(part, "").strip('"') != tag:
            raise Refused(409, f"Part {part} of {upload.parts} is not the one that is named; send it again.")


@contextlib.contextmanager
def _alone(upload: Upload) -> Iterator[int]:
    """The open file, which no part is written to: it will be an object in a moment."""
    try:
        file = os.open(upload.data, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise Refused(409, "Its parts are not here; send them again.") from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(409, "A part of it is still on its way; complete it when all are here.") from error
        _check_same(file, upload.data)
        yield file
    finally:
        os.close(file)


def _check_same(file: int, path: Path) -> None:
    """Whether the open file is still the upload's, and no object meanwhile: that is never written to."""
    try:
        there = path.stat().st_ino
    except FileNotFoundError:
        there = 0
    if there != os.fstat(file).st_ino or os.fstat(file).st_mode & 0o777 == READ_ONLY:
        raise Refused(409, "It was completed just now; ask where to send it again.")
