"""Writers of a repository: one change of ours at a time, beside git's pushes, and never stopped by the lock
file of a dead process. The kernel frees these locks with their holder; git's own lock files outlive it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from dulwich.file import FileLocked

from infra.file_locks import try_lock

T = TypeVar("T")

#: Held shared by every process that may make git's lock files: while one holds it alone, all lock files found
#: are those of dead processes.
WRITERS = "spaceport-writers"
#: Held alone for a change of ours.
CHANGES = "spaceport-changes"
WAIT_S = 10.0  # for a push that holds one of git's lock files
CHECK_EVERY_S = 0.05


class Busy(RuntimeError):
    """Others write the same branch all the time."""


class Moved(RuntimeError):
    """The branch has moved on while a change was made for it."""


@contextlib.contextmanager
def writer(folder: Path) -> Iterator[int]:
    """For a process that may make git's lock files. Yields the open lock, which a child that makes them
    inherits: they count as a living writer's until it has ended, even without us."""
    with (folder / WRITERS).open("ab") as lock:
        if try_lock(lock):
            _remove_left(folder)
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield lock.fileno()


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """The repository stands still: no push, no change of ours and no clean-up of git's beside this. Waits for
    those that are under way, as further ones wait for this."""
    with (folder / WRITERS).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def exclusively(folder: Path, change: Callable[[], T]) -> T:
    """What `change` returns. It has no other of ours beside it, and is made anew when a push was quicker.

    Raises:
        Busy: pushes were quicker for `WAIT_S`.
    """
    with (folder / CHANGES).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        until = time.monotonic() + WAIT_S
        while True:
            with writer(folder), contextlib.suppress(FileLocked, Moved):
                return change()
            if time.monotonic() > until:
                raise Busy("Others are writing to this branch; try again.")
            time.sleep(CHECK_EVERY_S)


def _remove_left(folder: Path) -> None:
    """Remove lock files in git's form: the branches' and tags', and those beside HEAD."""
    for path, _, files in os.walk(folder / "refs"):
        for name in files:
            if name.endswith(".lock"):
                Path(path, name).unlink(missing_ok=True)
    for lock in folder.glob("*.lock"):
        lock.unlink(missing_ok=True)
