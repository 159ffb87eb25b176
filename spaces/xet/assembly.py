"""The files of a shard are made of their xorbs and put into the store of large files."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from spaces.lfs import holdings
from spaces.lfs.store import Incoming, Refused
from spaces.xet import shards
from spaces.xet.sessions import Session
from spaces.xet.xorbs import Xorb


@dataclass
class Progress:
    """Its progress, in bytes, and whether it should stop; read by other threads."""

    done: int = 0
    total: int = 0
    stop: threading.Event = field(default_factory=threading.Event)


def store_files(session: Session, shard: IO[bytes], progress: Progress) -> None:
    """Give the Space the files that the shard describes.

    The xorbs go when that is refused for good, and when it is done: unless some are not in this shard, for
    which another one is still to come.

    Raises:
        Refused
    """
    try:
        files = shards.files(shard)
        _Assembly(session, progress, shard).store(files)
    except Refused as error:
        if error.status < 500:
            session.forget()
        raise
    left = session.xorbs()
    for file in files:
        left.difference_update(term.xorb for term in shards.terms(shard, file))
    if not left:
        session.forget()


class _Assembly:
    def __init__(self, session: Session, progress: Progress, shard: IO[bytes]) -> None:
        self._session, self._progress, self._shard = session, progress, shard
        self._starts: dict[str, array[int]] = {}

    def store(self, files: list[shards.File]) -> None:
        space_id = self._session.space_id
        sizes = holdings.sizes(space_id, (file.pointer.oid for file in files))
        new = [file for file in files if sizes.get(file.pointer.oid) != file.pointer.size]
        self._progress.total = sum(file.pointer.size for file in new)
        for file in new:
            holdings.check_fits(space_id, file.pointer.size)
        for file in new:
            with Incoming(space_id, file.pointer.oid, file.pointer.size) as incoming:
                for piece in self._pieces(shards.terms(self._shard, file)):
                    incoming.write(piece)
                    self._progress.done += len(piece)
                    if self._progress.stop.is_set():
                        raise Refused(503, "Its sender has gone.")
                holdings.keep(space_id, incoming)

    def _pieces(self, terms: Iterator[shards.Term]) -> Iterator[bytes]:
        for term in terms:
            try:
                xorb = Xorb(self._session.path_of(term.xorb), self._starts.get(term.xorb))
            except FileNotFoundError as error:
                raise Refused(400, f"The xorb {term.xorb} is not here; send it first.") from error
            with xorb:
                self._starts[term.xorb] = xorb.starts
                yield from xorb.pieces(term.first, term.end)
