"""Shards: which files are made of which pieces (the specification's "Shard Format", version 2). Of one we
read the list of files alone, from disk, record by record: it is client input, and may be long."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from spaces.lfs.pointers import Pointer
from spaces.lfs.store import Refused

FILES = 10_000
_TAG = b"HFRepoMetaData\0" + bytes.fromhex("5569 67 45 6a 7b 81 57 83 a5 bd d9 5c cd d1 4a a9")
_VERSION = 2
_HEAD = struct.Struct("<32sQQ")  # tag, version, bytes of a footer
_FILE = struct.Struct("<32sIIQ")  # hash, flags, terms, unused
_TERM = struct.Struct("<32sIIII")  # xorb, flags, bytes, first piece, piece after the last
_SHA256 = struct.Struct("<32s16x")
_END = b"\xff" * 32
_VERIFIED, _WITH_SHA256 = 1 << 31, 1 << 30
_AT_ONCE = 1000  # records


@dataclass(frozen=True, slots=True)
class Term:
    """So many bytes of a file: pieces `first` to before `end` of a xorb."""

    xorb: str
    size: int
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class File:
    """A file; `at` is where its terms begin in the shard."""

    pointer: Pointer
    at: int
    count: int


def files(shard: IO[bytes]) -> list[File]:
    """The files that it describes, with the sizes and hashes that the sender claims.

    Raises:
        Refused
    """
    shard.seek(0)
    tag, version, _ = _HEAD.unpack(_read(shard, _HEAD.size))
    if tag != _TAG or version != _VERSION:
        raise Refused(400, f"This is no shard of version {_VERSION}.")
    found: dict[str, File] = {}
    while (head := _FILE.unpack(_read(shard, _FILE.size)))[0] != _END:
        if len(found) == FILES:
            raise Refused(413, f"A shard has at most {FILES:,} files here.")
        _, flags, count, _ = head
        at = shard.tell()
        size = sum(term.size for term in _terms(shard, at, count))
        if flags & _VERIFIED:
            shard.seek(count * _TERM.size, 1)
        if not flags & _WITH_SHA256:
            raise Refused(400, "A file in the shard has no SHA-256, by which large files are named here.")
        oid = _hex(_SHA256.unpack(_read(shard, _SHA256.size))[0])
        found[oid] = File(Pointer(oid, size), at, count)
    return list(found.values())


def terms(shard: IO[bytes], file: File) -> Iterator[Term]:
    """What a file is made of, in order."""
    return _terms(shard, file.at, file.count)


def _terms(shard: IO[bytes], at: int, count: int) -> Iterator[Term]:
    for begin in range(0, count, _AT_ONCE):
        shard.seek(at + begin * _TERM.size)
        records = _read(shard, min(_AT_ONCE, count - begin) * _TERM.size)
        for xorb, _, size, first, end in _TERM.iter_unpack(records):
            yield Term(_hex(xorb), size, first, end)


def _read(shard: IO[bytes], size: int) -> bytes:
    found = shard.read(size)
    if len(found) != size:
        raise Refused(400, "The shard ends too early.")
    return found


def _hex(value: bytes) -> str:
    """A hash as the protocol writes it: four numbers, whose bytes stand in reverse."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", value))
