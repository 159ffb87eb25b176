"""Locks on files, which the kernel frees when their holder ends."""

from __future__ import annotations

import contextlib
import fcntl
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def try_lock(file: IO[str] | IO[bytes]) -> bool:
    """Lock this open file for its opener alone, without waiting. False: another holds a lock on it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def waited_for(path: Path) -> Iterator[None]:
    """Hold the lock of this file, after waiting for other holders."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
