"""A history without some files: each commit that has one is made anew without it, and so are those after."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from functools import partial

from dulwich.objects import Commit, ObjectID, Tag, Tree
from dulwich.repo import Repo

from spaces.git import bounds, locks
from spaces.git.commits import Store
from spaces.git.repository import folder_of, opened

MOST_COMMITS, MOST_ENTRIES = 5000, 1_000_000  # entries of all different folders

TOO_LONG = (
    "The history is too long to be rewritten here: squash it (super_squash_history), or rewrite it with git "
    "and push it. Then nothing is left to rewrite."
)


def without(space_id: int, blobs: Iterable[str]) -> None:
    """Take these files out of all branches and tags, whatever they are called there. Commits that were signed
    are not any more.

    Raises:
        locks.Busy
        bounds.TooMuch: the history is too long.
    """
    gone = {ObjectID(oid.encode()) for oid in blobs}
    locks.exclusively(folder_of(space_id), partial(_rewrite, space_id, gone))


def _rewrite(space_id: int, gone: set[ObjectID]) -> None:
    with opened(space_id) as repo:
        made = _Rewriting(repo, Store(repo, space_id), gone)
        found = {ref: oid for ref, oid in repo.get_refs().items() if ref.startswith(b"refs/")}
        heads = [repo.get_peeled(ref) for ref in found]
        for oid in _oldest_first(repo, [head for head in heads if isinstance(repo[head], Commit)]):
            made.commit(oid)
        # Only now, that all are there.
        for ref, old in found.items():
            new = made.target(old)
            if new != old and not repo.refs.set_if_equals(ref, old, new):
                raise locks.Moved


def _oldest_first(repo: Repo, heads: list[ObjectID]) -> Iterator[ObjectID]:
    """These commits and all before them, parents first."""
    seen: set[ObjectID] = set()
    waiting = [(head, False) for head in heads]
    while waiting:
        oid, is_ready = waiting.pop()
        if is_ready:
            yield oid
        elif oid not in seen:
            seen.add(oid)
            if len(seen) > MOST_COMMITS:
                raise bounds.TooMuch(TOO_LONG)
            commit = repo[oid]
            assert isinstance(commit, Commit)
            waiting.append((oid, True))
            waiting.extend((parent, False) for parent in commit.parents)


class _Rewriting:
    """What became of commits and folders."""

    def __init__(self, repo: Repo, store: Store, gone: set[ObjectID]) -> None:
        self._repo, self._store, self._gone = repo, store, gone
        self._commits: dict[ObjectID, ObjectID] = {}
        self._entries = 0
        self._folders: dict[ObjectID, ObjectID | None] = {}

    def commit(self, oid: ObjectID) -> None:
        """Make this commit anew if need be; its parents were before."""
        commit = self._repo[oid]
        assert isinstance(commit, Commit)
        tree, parents = self._root(commit.tree), [self._commits[parent] for parent in commit.parents]
        if (tree, parents) != (commit.tree, commit.parents):
            new = commit.copy()
            assert isinstance(new, Commit)
            new.tree, new.parents, new.gpgsig = tree, parents, None
            self._store.add_object(new)
            self._commits[oid] = new.id
        else:
            self._commits[oid] = oid

    def target(self, oid: ObjectID) -> ObjectID:
        """What a branch or tag that was at this object is to be at."""
        found = self._repo[oid]
        if not isinstance(found, Tag):
            return self._commits.get(oid, oid)
        kind, inside = found.object
        if (new_inside := self.target(inside)) == inside:
            return oid
        tag = found.copy()
        assert isinstance(tag, Tag)
        tag.object, tag.signature = (kind, new_inside), None
        self._store.add_object(tag)
        return tag.id

    def _root(self, oid: ObjectID) -> ObjectID:
        if (folder := self._folder(oid)) is not None:
            return folder
        empty = Tree()
        self._store.add_object(empty)
        return empty.id

    def _folder(self, oid: ObjectID) -> ObjectID | None:
        """This folder without them; None: nothing is left."""
        if oid not in self._folders:
            self._folders[oid] = self._without(oid)
        return self._folders[oid]

    def _without(self, oid: ObjectID) -> ObjectID | None:
        folder, new = self._repo[oid], Tree()
        assert isinstance(folder, Tree)
        self._entries += len(folder)
        if self._entries > MOST_ENTRIES:
            raise bounds.TooMuch(TOO_LONG)
        for name, mode, entry in folder.items():
            left = self._folder(entry) if stat.S_ISDIR(mode) else entry if entry not in self._gone else None
            if left is not None:
                new.add(name, mode, left)
        if not len(new):
            return None if len(folder) else oid
        if new.id != oid:
            self._store.add_object(new)
        return new.id
