"""git's `pre-receive` hook: whether what was pushed may be kept, before any branch points at it. git has put
it in a place of its own and throws that away when this fails. Run by git, without Django."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

from spaces.git import bounds, room
from spaces.git.bounds import Extents, TooMuch
from spaces.git.objects import Objects, git

TIME_S = 60
#: What git hands its hooks through: limits in bytes, "one file:all files of a commit:all of a repository".
LIMITS = "SPACEPORT_RECEIVE_LIMITS"


def main() -> int:
    """Read git's lines of old id, new id and name; 1, with the reason for the pusher, to refuse."""
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(TIME_S)
    lines = [line.split() for line in sys.stdin.read().splitlines()]
    try:
        check([name for _, new, name in lines if set(new) != {"0"}])
    except TooMuch as error:
        sys.stderr.write(f"Spaceport does not keep this: {error}\n")
        return 1
    return 0


def check(names: list[str]) -> None:
    """Whether these branches and tags may point at what was received.

    Raises:
        TooMuch
    """
    folder = os.environ.get("GIT_DIR", ".")
    file_bytes, commit_bytes, all_bytes = map(int, os.environ[LIMITS].split(":"))
    there = set(_lines(git(folder, "for-each-ref", "--format=%(refname)")))
    bounds.check_refs(set(names) - there, len(there))
    if (size := room.used(folder)) > all_bytes:
        raise room.NoRoom(size, all_bytes)
    commits = []
    for kind, size, oid in _received(folder):
        if kind == "blob" and size > file_bytes:
            raise TooMuch(f"It has a file of {size:,} bytes; at most {file_bytes:,} are taken.")
        if kind != "blob" and size > bounds.OBJECT_BYTES:
            raise TooMuch(f"A {kind} of it has {size:,} bytes.")
        if kind == "commit":
            commits.append(oid)
            if len(commits) > bounds.COMMITS:
                raise TooMuch(f"It has more than {bounds.COMMITS:,} commits; push them in parts.")
    with Objects(folder) as objects:
        extents = Extents(objects.items, objects.sizes, commit_bytes)
        for commit in commits:
            first, _, _ = objects.content(commit).partition(b"\n")
            try:
                extents.of(first.removeprefix(b"tree ").decode())
            except LookupError as error:
                raise TooMuch("A part of it is missing.") from error


def _received(folder: str) -> Iterator[tuple[str, int, str]]:
    """Kind, size and id of everything that came with this push."""
    alone = {k: v for k, v in os.environ.items() if k != "GIT_ALTERNATE_OBJECT_DIRECTORIES"}
    form = "--batch-check=%(objecttype) %(objectsize) %(objectname)"
    listing = git(folder, "cat-file", "--batch-all-objects", "--unordered", form)
    for line in _lines(listing, alone):
        kind, size, oid = line.split()
        yield kind, int(size), oid


def _lines(command: list[str], env: dict[str, str] | None = None) -> Iterator[str]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=env, text=True)  # noqa: S603
    assert process.stdout is not None
    try:
        for line in process.stdout:
            yield line.rstrip("\n")
    finally:
        process.kill()
        process.wait()


def _too_long(*_: object) -> None:
    raise TooMuch(f"It could not be looked through in {TIME_S} s; push it in parts.")


if __name__ == "__main__":
    raise SystemExit(main())
