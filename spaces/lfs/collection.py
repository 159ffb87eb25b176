"""Removes from the store what nobody needs: objects that no Space has, and uploads that never arrived in
full."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from spaces.lfs import store
from spaces.lfs.addresses import UPLOAD_S
from spaces.models import LargeFile

#: An object is kept so long after it came; what is on its way, after its last byte.
GRACE_S = UPLOAD_S
AT_ONCE = 1000


def collect(now: float | None = None) -> int:
    """Remove it; how many objects that were. None while a backup is made: the next time does."""
    with store.may_remove() as may:
        return _remove(now) if may else 0


def _remove(now: float | None) -> int:
    before = (now if now is not None else time.time()) - GRACE_S
    for path in store.spool().iterdir():
        if _older(path, before):
            path.unlink(missing_ok=True)
    objects, gone = _objects(before), 0
    while paths := list(islice(objects, AT_ONCE)):
        gone += _collect(paths)
    return gone


def _objects(before: float) -> Iterator[Path]:
    for folder in (store.home() / "objects").glob("??/??"):
        yield from (path for path in folder.iterdir() if _older(path, before))


def _collect(paths: list[Path]) -> int:
    with store.collecting():
        rows = LargeFile.objects.filter(oid__in=[path.name for path in paths])
        kept = set(rows.values_list("oid", flat=True))
        gone = [path for path in paths if path.name not in kept]
        for path in gone:
            path.unlink(missing_ok=True)
    return len(gone)


def _older(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except FileNotFoundError:
        return False
