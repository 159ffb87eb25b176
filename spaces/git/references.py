"""A repository's branches and tags, and which commit last changed a path."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from dulwich.objects import Commit, ObjectID, Tag
from dulwich.refs import Ref, check_ref_format

from spaces.git import bounds, locks, repository
from spaces.git.commits import Store, identity
from spaces.git.repository import BRANCH, CommitInfo, opened
from spaces.git.trees import Trees

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_NAME_BYTES = 200
MOST_COMMITS = 5000  # searched for the last change of a path
SEARCH_S = 3.0


class BadName(ValueError):
    """A name that no branch or tag may have."""


class Exists(RuntimeError):
    """There is a branch or tag of this name already."""


class Unknown(LookupError):
    """There is no branch or tag of this name."""


def refs(space_id: int) -> tuple[dict[str, str], dict[str, str]]:
    """Branches and tags: name to commit."""
    with opened(space_id) as repo:
        found = repo.get_refs()
        branches = {r[11:].decode(): s.decode() for r, s in found.items() if r.startswith(b"refs/heads/")}
        tags = {r[10:].decode(): repo.get_peeled(r).decode() for r in found if r.startswith(b"refs/tags/")}
        return branches, tags


def create_branch(space_id: int, name: str, start: str) -> None:
    """A new branch at this revision.

    Raises:
        BadName, Exists, repository.UnknownRevision, locks.Busy
    """
    _create(space_id, _ref("heads", name), repository.resolve(space_id, start))


def delete_branch(space_id: int, name: str) -> None:
    """Remove a branch; never `main`.

    Raises:
        BadName, Unknown, locks.Busy
    """
    if name == BRANCH:
        raise BadName(f"Cannot delete refs/heads/{BRANCH}: it is what the Space runs.")
    _delete(space_id, _ref("heads", name), f"branch '{name}'")


def create_tag(space_id: int, name: str, revision: str, *, message: str = "", author: str = "") -> None:
    """A new tag on this revision; with a message an annotated one.

    Raises:
        BadName, Exists, repository.UnknownRevision, locks.Busy
    """
    commit = repository.resolve(space_id, revision)  # first, as on the Hub
    ref = _ref("tags", name)
    target = _annotation(space_id, name, commit, message, author) if message else commit
    _create(space_id, ref, target)


def _annotation(space_id: int, name: str, commit: str, message: str, author: str) -> str:
    tag = Tag()
    tag.object = (Commit, ObjectID(commit.encode()))
    tag.name, tag.message = name.encode(), message.replace("\0", "").encode()
    tag.tagger, tag.tag_time, tag.tag_timezone = identity(author), int(time.time()), 0
    with opened(space_id) as repo:
        Store(repo, space_id).add_object(tag)
    return tag.id.decode()


def delete_tag(space_id: int, name: str) -> None:
    """Remove a tag.

    Raises:
        BadName, Unknown, locks.Busy
    """
    _delete(space_id, _ref("tags", name), f"tag '{name}'")


def last_changes(space_id: int, commit: str, paths: Iterable[str]) -> dict[str, CommitInfo]:
    """For each path the newest commit, from this one back, that changed it or something below it; as far as
    they are found in `SEARCH_S`."""
    until = time.monotonic() + SEARCH_S
    wanted = {path.encode(): path for path in paths}
    found: dict[str, CommitInfo] = {}
    with opened(space_id) as repo:
        trees = Trees(repo)
        walker = repo.get_walker(include=[ObjectID(commit.encode())], max_entries=MOST_COMMITS)
        for entry in walker if wanted else ():
            before = [repo[parent] for parent in entry.commit.parents]
            for path in [p for p in wanted if _changed(trees, p, entry.commit, before)]:
                found[wanted.pop(path)] = repository.info(entry.commit)
            if not wanted or time.monotonic() > until:
                break
    return found


def _changed(trees: Trees, path: bytes, commit: Commit, before: list[Any]) -> bool:
    """Whether the commit's entry there is another than in each of its parents."""
    if any(parent.tree == commit.tree for parent in before):
        return False
    now = trees.at(commit.tree, path)
    if not before:
        return now is not None
    return all(trees.at(parent.tree, path) != now for parent in before)


def _ref(kind: str, name: str) -> Ref:
    ref = f"refs/{kind}/{name}".encode()
    if not name or name.startswith("-") or len(ref) > MAX_NAME_BYTES or not check_ref_format(Ref(ref)):
        raise BadName(f"'{name[:100]}' is no name for a branch or tag.")
    return Ref(ref)


def _create(space_id: int, ref: Ref, target: str) -> None:
    def create() -> None:
        with opened(space_id) as repo:
            try:
                bounds.check_refs([ref.decode()], len(repo.refs.keys() - {b"HEAD"}))
            except bounds.TooMuch as error:
                raise BadName(str(error)) from error
            if not repo.refs.add_if_new(ref, ObjectID(target.encode())):
                raise Exists(f"Reference {ref.decode()} already exists.")

    locks.exclusively(repository.folder_of(space_id), create)


def _delete(space_id: int, ref: Ref, what: str) -> None:
    def delete() -> None:
        with opened(space_id) as repo:
            if ref not in repo.refs:
                raise Unknown(f"Invalid rev id: there is no {what}.")
            repo.refs.remove_if_equals(ref, None)

    locks.exclusively(repository.folder_of(space_id), delete)
