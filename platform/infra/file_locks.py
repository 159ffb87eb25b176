"""Locks on files, which the kernel frees when their holder ends."""

from __future__ import annotations

import fcntl
from typing import IO


def try_lock(file: IO[str] | IO[bytes]) -> bool:
    """Lock this open file for its opener alone, without waiting. False: another holds a lock on it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
