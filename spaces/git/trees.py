"""Finds the entry at a path of a commit. Reads only folders, only along the path: a whole commit may be a
million paths, and a file on the way as large as its pusher likes."""

from __future__ import annotations

import stat

from dulwich.objects import ObjectID, Tree
from dulwich.repo import Repo

REMEMBERED = 1000


class Trees:
    """The folders of a repository; the latest that were read are remembered."""

    def __init__(self, repo: Repo) -> None:
        self._repo = repo
        self._read: dict[ObjectID, Tree] = {}

    def at(self, root: ObjectID, path: bytes) -> tuple[int, ObjectID] | None:
        """Mode and id of the entry at this path below the folder, which is itself at the empty path."""
        found = (stat.S_IFDIR, root)
        for name in filter(None, path.split(b"/")):
            if not stat.S_ISDIR(found[0]):
                return None
            try:
                found = self._tree(found[1])[name]
            except KeyError:
                return None
        return found

    def _tree(self, oid: ObjectID) -> Tree:
        tree = self._read.get(oid)
        if tree is None:
            if len(self._read) >= REMEMBERED:
                self._read.clear()
            read = self._repo[oid]
            assert isinstance(read, Tree)
            tree = self._read[oid] = read
        return tree
