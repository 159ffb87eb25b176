"""Xorbs: up to 64 MiB of pieces of files, each behind a head and compressed by itself (the specification's
"Xorb Format"). All of it is client input: lengths are checked against the protocol's bounds, and a piece is
never decompressed beyond the length in its head.

Their own hashes are not checked: what counts is the SHA-256 of the files that are made of them."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import lz4.frame

from spaces.lfs import store
from spaces.lfs.store import Refused, full_disk
from spaces.xet.sessions import XORB_BYTES, Session

PIECES_BYTES = 64 * 1024 * 1024  # of one xorb, decompressed
PIECES = 8 * 1024
PIECE_BYTES = 128 * 1024
HEAD_BYTES = 8
FOOTER_BYTES = 1024 * 1024  # it describes the pieces; we need none
_FOOTER = b"XETBLOB"
_STORED, _LZ4, _GROUPED_LZ4 = 0, 1, 2


class Incoming:
    """A xorb on its way: thrown away unless it is kept within the block."""

    def __init__(self, session: Session, name: str) -> None:
        """
        Raises:
            Refused: there is no room for it, or it cannot have this name.
        """
        self._target = session.path_of(name)
        store.check_room(0, session.space_id)
        number, path = tempfile.mkstemp(dir=store.spool(), prefix=f"{session.space_id}-")
        self._file, self._path, self._bytes = os.fdopen(number, "wb"), Path(path), 0

    def __enter__(self) -> Incoming:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        with suppress(OSError):  # a full disk, already reported
            self._file.close()
        self._path.unlink(missing_ok=True)

    def write(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            Refused: a xorb has not so many, or the disk is full.
        """
        self._bytes += len(chunk)
        if self._bytes > XORB_BYTES:
            raise Refused(413, f"A xorb has at most {XORB_BYTES:,} bytes.")
        with full_disk():
            self._file.write(chunk)

    def keep(self) -> None:
        """Keep it until its upload ends.

        Raises:
            Refused: it is none.
        """
        with full_disk():
            self._file.close()
        with Xorb(self._path):
            self._path.replace(self._target)


class Xorb:
    """One that came."""

    def __init__(self, path: Path, starts: array[int] | None = None) -> None:
        """
        Args:
            starts: as `starts` of the same xorb was before.

        Raises:
            FileNotFoundError
            Refused: it is none.
        """
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            #: Where each piece begins, and where the last one ends.
            self.starts = _starts(self._file) if starts is None else starts
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Xorb:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def pieces(self, first: int, end: int) -> Iterator[bytes]:
        """The pieces from number `first` to before number `end`.

        Raises:
            Refused: there are not so many, or their contents do not match their heads.
        """
        if not first < end < len(self.starts):
            count = len(self.starts) - 1
            raise Refused(400, f"A xorb of {count:,} pieces has no pieces {first:,} to {end:,}.")
        for number in range(first, end):
            at, after = self.starts[number], self.starts[number + 1]
            yield _content(os.pread(self._file, after - at, at))


def _starts(file: int) -> array[int]:
    size, at, decompressed = os.fstat(file).st_size, 0, 0
    found = array("Q", [0])
    while at < size:
        head = os.pread(file, HEAD_BYTES, at)
        if head.startswith(_FOOTER):
            break
        if len(head) < HEAD_BYTES:
            raise Refused(400, "The xorb ends in the middle of a piece.")
        packed, unpacked = _lengths(head)
        at, decompressed = at + HEAD_BYTES + packed, decompressed + unpacked
        found.append(at)
        if len(found) > PIECES + 1 or decompressed > PIECES_BYTES:
            raise Refused(413, f"A xorb has at most {PIECES:,} pieces of {PIECES_BYTES:,} bytes in total.")
    if len(found) == 1 or at > size or size - at > FOOTER_BYTES:
        raise Refused(400, "The xorb does not have the pieces that it announces.")
    return found


def _lengths(head: bytes) -> tuple[int, int]:
    """Bytes of a piece as it is here, and decompressed."""
    packed, unpacked = int.from_bytes(head[1:4], "little"), int.from_bytes(head[5:8], "little")
    if head[0] != 0 or head[4] > _GROUPED_LZ4:
        raise Refused(400, "The xorb has a piece of a kind that is not known here.")
    if not 0 < unpacked <= PIECE_BYTES or not 0 < packed <= 2 * PIECE_BYTES:
        raise Refused(400, f"A piece has between 1 and {PIECE_BYTES:,} bytes.")
    return packed, unpacked


def _content(piece: bytes) -> bytes:
    _, size = _lengths(piece)
    body = piece[HEAD_BYTES:]
    if (how := piece[4]) != _STORED:
        body = _decompressed(body, size)
    if len(body) != size:
        raise Refused(400, "A piece is not as long as its head says.")
    return _ungrouped(body) if how == _GROUPED_LZ4 else body


def _decompressed(body: bytes, size: int) -> bytes:
    """At most one byte more than it should be."""
    try:
        found: bytes = lz4.frame.LZ4FrameDecompressor().decompress(body, max_length=size + 1)
    except (RuntimeError, ValueError, EOFError) as error:
        raise Refused(400, "A piece cannot be decompressed.") from error
    return found


def _ungrouped(body: bytes) -> bytes:
    """Each fourth byte was put beside its like; the first groups have one more where four is no divisor."""
    found, at = bytearray(len(body)), 0
    for group in range(4):
        length = (len(body) - group + 3) // 4
        found[group::4] = body[at : at + length]
        at += length
    return bytes(found)
