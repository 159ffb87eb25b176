"""How large a Space's repository may be: pure arithmetic over git's trees. Ten objects can be a million
paths, and a megabyte sent three hundred unpacked, so what counts is a commit laid out as files."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass

PATHS = 50_000  # files and folders of one commit
DEPTH = 40
PATH_BYTES = 1024
NAME_BYTES = 200
FOLDERS = 200_000  # different ones, over all commits of one push
COMMITS = 100_000  # of one push
OBJECT_BYTES = 16 * 1024 * 1024  # of a commit, folder or tag
REFS = 1000  # branches and tags


class TooMuch(ValueError):
    """More than a repository here may have; the message gives the limit, in a sentence."""


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a folder."""

    name: bytes
    mode: int
    oid: str

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)


@dataclass(frozen=True, slots=True)
class Extent:
    """A folder laid out with all below it."""

    paths: int
    size: int  # bytes of its files
    depth: int
    longest: int  # bytes of its longest path


def parsed(tree: bytes) -> list[Item]:
    """The entries of a tree object.

    Raises:
        TooMuch: it is none that git would write.
    """
    found, at = [], 0
    try:
        while at < len(tree):
            space, nul = tree.index(b" ", at), tree.index(b"\0", at)
            mode = int(tree[at:space], 8)
            found.append(Item(tree[space + 1 : nul], mode, tree[nul + 1 : nul + 21].hex()))
            at = nul + 21
    except ValueError as error:
        raise TooMuch("One of its folders is damaged.") from error
    return found


class Extents:
    """Measures folders, each different one once: a folder that is everywhere costs no more than one that is
    not.

    Args:
        items: the entries of a folder, by its id.
        sizes: bytes of files, by their ids; 0 for those that are not there (submodules).
        most_bytes: of a commit's files together.
    """

    def __init__(
        self,
        items: Callable[[str], list[Item]],
        sizes: Callable[[Iterable[str]], dict[str, int]],
        most_bytes: int,
    ) -> None:
        self._items, self._sizes, self._most_bytes = items, sizes, most_bytes
        self._known: dict[str, Extent] = {}

    def of(self, oid: str, level: int = 0) -> Extent:
        """The extent of this folder, `level` folders below a commit's root.

        Raises:
            TooMuch
        """
        extent = self._known.get(oid)
        if extent is None:
            if len(self._known) >= FOLDERS:
                raise TooMuch(f"Its history has more than {FOLDERS:,} different folders.")
            if level > DEPTH:
                raise TooMuch(f"It has folders in folders, more than {DEPTH} deep.")
            extent = self._known[oid] = self._measured(oid, level)
        if level + extent.depth > DEPTH:
            raise TooMuch(f"It has folders in folders, more than {DEPTH} deep.")
        return extent

    def _measured(self, oid: str, level: int) -> Extent:
        items = self._items(oid)
        if len(items) > PATHS:
            raise TooMuch(f"It has more than {PATHS:,} files and folders.")
        sizes = self._sizes(item.oid for item in items if not item.is_folder)
        paths, size, depth, longest = len(items), 0, 0, 0
        for item in items:
            if len(item.name) > NAME_BYTES:
                raise TooMuch(f"It has a name of more than {NAME_BYTES} bytes: {_shown(item.name)}.")
            length = len(item.name)
            if item.is_folder:
                below = self.of(item.oid, level + 1)
                paths, size = paths + below.paths, size + below.size
                depth, length = max(depth, below.depth + 1), length + 1 + below.longest
            else:
                size += sizes.get(item.oid, 0)
            longest = max(longest, length)
            self._check(paths, size, longest)
        return Extent(paths, size, depth, longest)

    def _check(self, paths: int, size: int, longest: int) -> None:
        if paths > PATHS:
            raise TooMuch(f"It has more than {PATHS:,} files and folders.")
        if size > self._most_bytes:
            raise TooMuch(f"Its files have more than {self._most_bytes:,} bytes together, unpacked.")
        if longest > PATH_BYTES:
            raise TooMuch(f"It has a path of more than {PATH_BYTES:,} bytes.")


def check_refs(names: Iterable[str], already: int) -> None:
    """Whether these branches and tags may be written beside as many that are there.

    Raises:
        TooMuch
    """
    count = already
    for name in names:
        count += 1
        if not name.startswith(("refs/heads/", "refs/tags/")):
            raise TooMuch(f"Only branches and tags are kept here, not {_shown(name.encode())}.")
        if len(name.encode()) > NAME_BYTES:
            raise TooMuch(f"The name of a branch or tag may have at most {NAME_BYTES} bytes.")
    if count > REFS:
        raise TooMuch(f"A Space may have at most {REFS:,} branches and tags.")


def _shown(name: bytes) -> str:
    return repr(name[:60].decode("utf-8", "replace"))
