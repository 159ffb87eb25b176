"""A repository's branches and tags, and which commit last changed a path."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dulwich.objects import Commit, ObjectID
from dulwich.refs import Ref, check_ref_format

from spaces import bounds, repository
from spaces.repository import BRANCH, CommitInfo, opened

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_NAME_BYTES = 200
MOST_COMMITS = 5000  # looked at for the last change of a path
LOOK_S = 3.0


class BadName(ValueError):
    """A name that no branch or tag may have."""


class Exists(RuntimeError):
    """There is a branch or tag of this name already."""


class Unknown(LookupError):
    """There is no branch or tag of this name."""


def create_branch(space_id: int, name: str, start: str) -> None:
    """A new branch at this revision.

    Raises:
        BadName, Exists, repository.UnknownRevision
    """
    _create(space_id, _ref("heads", name), repository.resolve(space_id, start), f"The branch '{name}'")


def delete_branch(space_id: int, name: str) -> None:
    """Remove a branch; never `main`.

    Raises:
        BadName, Unknown
    """
    if name == BRANCH:
        raise BadName(f"'{BRANCH}' is what the Space runs; it stays.")
    _delete(space_id, _ref("heads", name), f"branch '{name}'")


def create_tag(space_id: int, name: str, revision: str) -> None:
    """A new tag on this revision.

    Raises:
        BadName, Exists, repository.UnknownRevision
    """
    _create(space_id, _ref("tags", name), repository.resolve(space_id, revision), f"The tag '{name}'")


def delete_tag(space_id: int, name: str) -> None:
    """Remove a tag.

    Raises:
        BadName, Unknown
    """
    _delete(space_id, _ref("tags", name), f"tag '{name}'")


def last_changes(space_id: int, commit: str, paths: Iterable[str]) -> dict[str, CommitInfo]:
    """For each path the newest commit, from this one back, that changed it or something below it; as far as
    they are found in `LOOK_S`."""
    until = time.monotonic() + LOOK_S
    wanted = {path.encode(): path for path in paths}
    found: dict[str, CommitInfo] = {}
    with opened(space_id) as repo:
        for entry in (
            repo.get_walker(include=[ObjectID(commit.encode())], max_entries=MOST_COMMITS) if wanted else ()
        ):
            for path in _touched(entry.changes()) & wanted.keys():
                found[wanted.pop(path)] = repository.info(entry.commit)
            if not wanted or time.monotonic() > until:
                break
    return found


def _touched(changes: Iterable[object]) -> set[bytes]:
    """The paths of these changes, and every folder above them."""
    touched: set[bytes] = set()
    for change in changes:
        for side in change if isinstance(change, list) else [change]:
            for item in (getattr(side, "old", None), getattr(side, "new", None)):
                parts = (getattr(item, "path", None) or b"").split(b"/")
                touched.update(b"/".join(parts[: n + 1]) for n in range(len(parts)))
    return touched


def _ref(kind: str, name: str) -> Ref:
    ref = f"refs/{kind}/{name}".encode()
    if not name or name.startswith("-") or len(ref) > MAX_NAME_BYTES or not check_ref_format(Ref(ref)):
        raise BadName(f"'{name[:100]}' is no name for a branch or tag.")
    return Ref(ref)


def _create(space_id: int, ref: Ref, commit: str, what: str) -> None:
    with opened(space_id) as repo:
        assert isinstance(repo[commit.encode()], Commit)
        try:
            bounds.check_refs([ref.decode()], len(repo.refs.keys() - {b"HEAD"}))
        except bounds.TooMuch as error:
            raise BadName(str(error)) from error
        if not repo.refs.add_if_new(ref, ObjectID(commit.encode())):
            raise Exists(f"{what} exists already.")


def _delete(space_id: int, ref: Ref, what: str) -> None:
    with opened(space_id) as repo:
        if ref not in repo.refs:
            raise Unknown(f"There is no {what}.")
        repo.refs.remove_if_equals(ref, None)
