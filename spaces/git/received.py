"""Checks the objects of a push before any branch points at them. git keeps them apart and throws them away if
they are refused. Runs in git's hook (`spaces.api.push_check`), without Django."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spaces.git import bounds, room
from spaces.git.bounds import Extents, TooMuch
from spaces.git.objects import Objects, git
from spaces.lfs import pointers

#: An environment variable for git's hooks: limits in bytes, "one file:all files of a commit:all of a
#: repository".
LIMITS = "SPACEPORT_RECEIVE_LIMITS"
HEADS = "refs/heads/"
#: Another one: a file that lists the Space's objects of Git LFS, a line each: id and size.
LARGE_FILES = "SPACEPORT_LARGE_FILES"


class Refused(ValueError):
    """A push that is refused; the message is a sentence with the reason."""


@dataclass(frozen=True, slots=True)
class Update:
    """A branch or tag that the push moves; `old` and `new` are "" for none."""

    old: str
    new: str
    name: str

    @property
    def branch(self) -> str:
        """The branch's short name; "" for a tag."""
        return self.name.removeprefix(HEADS) if self.name.startswith(HEADS) else ""


def updates(lines: str) -> list[Update]:
    """git's lines to its hook: old id, new id and name."""
    found = []
    for line in lines.splitlines():
        old, new, name = line.split()
        found.append(Update(_known(old), _known(new), name))
    return found


def _known(oid: str) -> str:
    return oid.strip("0") and oid


def check(wanted: list[Update]) -> None:
    """Whether these branches and tags may point at what was received.

    Raises:
        TooMuch, Refused
    """
    folder = os.environ.get("GIT_DIR", ".")
    file_bytes, commit_bytes, all_bytes = map(int, os.environ[LIMITS].split(":"))
    there = set(_lines(git(folder, "for-each-ref", "--format=%(refname)")))
    moved = {update.name: update.new for update in wanted if update.new}
    bounds.check_refs(moved.keys() - there, len(there))
    if (size := room.used(folder)) > all_bytes:
        raise room.NoRoom(size, all_bytes)
    commits, small = [], set()
    for kind, size, oid in _received(folder):
        if kind == "blob" and size > file_bytes:
            path = _path_of(folder, oid, moved.values())
            raise TooMuch(f"{path} has {size:,} bytes; at most {file_bytes:,} are taken.")
        if kind != "blob" and size > bounds.OBJECT_BYTES:
            raise TooMuch(f"A {kind} of it has {size:,} bytes.")
        if kind == "blob" and size in pointers.ALIKE_SIZES:
            small.add(oid)
        if kind == "commit":
            commits.append(oid)
            if len(commits) > bounds.COMMITS:
                raise TooMuch(f"It has more than {bounds.COMMITS:,} commits; push them in parts.")
    with Objects(folder) as objects:
        _check_extents(objects, commits, commit_bytes)
        _check_pointers(objects, folder, small, moved)


def _check_extents(objects: Objects, commits: list[str], most: int) -> None:
    extents = Extents(objects.items, objects.sizes, most)
    for commit in commits:
        try:
            extents.of(tree_of(objects, commit))
        except LookupError as error:
            raise TooMuch("A part of it is missing.") from error


def tree_of(objects: Objects, commit: str) -> str:
    """The id of a commit's root folder.

    Raises:
        LookupError
    """
    first, _, _ = objects.content(commit).partition(b"\n")
    return first.removeprefix(b"tree ").decode()


def _check_pointers(objects: Objects, folder: str, small: set[str], moved: dict[str, str]) -> None:
    """Refuse pointers at files that the Space does not have, as far as the branches and tags would have them:
    git-lfs sends the files first. Those in earlier history do no harm."""
    sizes = _large_files() if small else {}
    for name, tip in moved.items() if small else ():
        for line in _lines(git(folder, "-c", "core.quotePath=false", "ls-tree", "-r", tip)):
            entry, _, path = line.partition("\t")
            oid = entry.split()[2]
            if oid not in small or not (content := objects.content(oid)).startswith(pointers.BEGINNING):
                continue
            if (pointer := pointers.parsed(content)) is None or sizes.get(pointer.oid) != pointer.size:
                raise Refused(
                    f"'{path[:200]}' ({name}) is only a pointer of Git LFS, and its file is not here. Get "
                    "the file (git lfs pull), and push with git-lfs installed (git lfs install): it sends "
                    "the file first."
                )


def _large_files() -> dict[str, int]:
    lines = Path(os.environ[LARGE_FILES]).read_text().splitlines() if LARGE_FILES in os.environ else []
    return {oid: int(size) for oid, size in map(str.split, lines)}


def _path_of(folder: str, oid: str, tips: Iterable[str]) -> str:
    """The file of this push that has this content, as a sentence begins."""
    for line in _lines(git(folder, "rev-list", "--objects", *tips, "--not", "--all")):
        found, _, path = line.partition(" ")
        if found == oid and path:
            return f"'{path[:200]}'"
    return "A file of it"


def _received(folder: str) -> Iterator[tuple[str, int, str]]:
    """Kind, size and id of everything that came with this push."""
    alone = {k: v for k, v in os.environ.items() if k != "GIT_ALTERNATE_OBJECT_DIRECTORIES"}
    form = "--batch-check=%(objecttype) %(objectsize) %(objectname)"
    listing = git(folder, "cat-file", "--batch-all-objects", "--unordered", form)
    for line in _lines(listing, alone):
        kind, size, oid = line.split()
        yield kind, int(size), oid


def _lines(command: list[str], env: dict[str, str] | None = None) -> Iterator[str]:
    process = subprocess.Popen(  # noqa: S603  # names of files may be in any encoding
        command, stdout=subprocess.PIPE, env=env, encoding="utf-8", errors="replace"
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            yield line.rstrip("\n")
    finally:
        process.kill()
        process.wait()
