"""A Space's repository written without a checkout: files added and deleted become a commit."""

from __future__ import annotations

import io
import stat
import time
from collections.abc import Iterator
from functools import partial
from typing import IO, TYPE_CHECKING

from django.conf import settings
from dulwich.index import commit_tree
from dulwich.object_store import iter_tree_contents
from dulwich.objects import Commit, ObjectID, ShaFile
from dulwich.refs import Ref, check_ref_format
from dulwich.repo import Repo

from infra.folders import PRIVATE, private
from spaces.git import bounds, locks, loose
from spaces.git.repository import BRANCH, MAIN, UnknownRevision, folder_of, opened, tree_id
from spaces.git.repository_paths import BadPath, check_path
from spaces.git.room import Room

if TYPE_CHECKING:
    from spaces.models import Space


#: The Hub's own text, which programs match.
STALE = "The branch was updated since you opened this page. Please refresh and try again."


class Stale(RuntimeError):
    """The branch is no longer where the committer saw it."""


def create(space: Space, *, author: str, files: dict[str, bytes]) -> str:
    """A new repository with a first commit; its id."""
    folder = folder_of(space.pk)
    private(folder.parent)
    folder.mkdir(PRIVATE)
    repo = Repo.init_bare(folder, default_branch=BRANCH.encode())
    repo.close()
    changes = Changes(space.pk)
    for path, content in files.items():
        changes.add(path, content)
    return changes.commit("initial commit", author=author)


class Changes:
    """Files added and deleted, to become one commit on a branch. Contents are stored as they come."""

    def __init__(self, space_id: int) -> None:
        self.space_id = space_id
        self._blobs: dict[str, ObjectID] = {}
        self._deleted: set[str] = set()
        self._deleted_folders: set[str] = set()
        self._room = Room(folder_of(space_id), settings.SPACEPORT_REPOSITORY_LIMIT_BYTES)

    def add(self, path: str, content: bytes | IO[bytes]) -> None:
        """Add or replace a file, from a seekable file of any size or from memory.

        Raises:
            BadPath, NoRoom
        """
        check_path(path)
        folder = folder_of(self.space_id)
        file = io.BytesIO(content) if isinstance(content, bytes) else content
        with loose.drafted(folder, "blob", file) as draft, opened(self.space_id) as repo:
            if draft.oid in repo.object_store:
                loose.freshen(folder, draft.oid.decode())
            else:
                self._room.take(draft.size)
                draft.keep()
        self._blobs[path] = draft.oid

    def delete(self, path: str) -> None:
        """Delete a file; or, as on the Hub, a folder that is called a file."""
        self._deleted.add(path.strip("/"))

    def delete_folder(self, path: str) -> None:
        """Delete a folder with all in it."""
        self._deleted_folders.add(path.strip("/") + "/")

    def commit(self, message: str, *, author: str, branch: str = BRANCH, parent: str | None = None) -> str:
        """Make the commit upon the branch's head, whatever that is now unless `parent` names it; its id.
        Without any change the head as it is.

        Raises:
            KeyError: what to delete does not exist.
            Stale: `parent` is not the head.
            locks.Busy
            UnknownRevision: the branch does not exist.
        """
        made = partial(self._made, message, author, branch, parent)
        return locks.exclusively(folder_of(self.space_id), made)

    def _made(self, message: str, author: str, branch: str, parent: str | None) -> str:
        ref = Ref(b"refs/heads/" + branch.encode())
        with opened(self.space_id) as repo:
            before = repo.refs[ref] if ref in repo.refs else None  # noqa: SIM401  # no `get` there
            if before is None and MAIN in repo.refs:
                raise UnknownRevision(f"There is no branch '{branch}'.")
            if parent is not None and (before is None or before.decode() != parent):
                raise Stale(f"{STALE} ({branch} is no longer at {parent[:12]}.)")
            store = Store(repo, self.space_id)
            files = self._files_of(repo, before)
            new_tree = commit_tree(store, [(p, sha, mode) for p, (mode, sha) in files.items()])  # type: ignore[arg-type]  # all it needs
            if before is not None and tree_id(repo, before.decode()) == new_tree:
                return before.decode()
            commit = _commit(new_tree, before, message, author)
            store.add_object(commit)
            if not repo.refs.set_if_equals(ref, before, commit.id):
                raise locks.Moved
            return commit.id.decode()

    def _files_of(self, repo: Repo, before: ObjectID | None) -> dict[bytes, tuple[int, ObjectID]]:
        files: dict[bytes, tuple[int, ObjectID]] = {}
        if before is not None:
            for item in iter_tree_contents(repo.object_store, tree_id(repo, before.decode())):
                if item.path is not None and item.mode is not None and item.sha is not None:
                    files[item.path] = (item.mode, item.sha)
                if len(files) > bounds.PATHS:
                    break
        deleted = {folder.rstrip("/").encode() for folder in self._deleted_folders}
        deleted |= _without(files, {path.encode() for path in self._deleted})
        new = {path.encode(): sha for path, sha in self._blobs.items()}
        above = {parent for path in new for parent in _above(path)}
        if both := new.keys() & above:
            raise BadPath(f"'{both.pop().decode()[:200]}' is a file and a folder in the same commit.")
        # A file may replace a folder of its name, and a folder a file.
        for path in list(files):
            if path in above or any(parent in new or parent in deleted for parent in _above(path)):
                del files[path]
        for path, sha in new.items():
            mode = files.get(path, (0o100644, sha))[0]
            files[path] = (mode if stat.S_ISREG(mode) else 0o100644, sha)
        if len(files) > bounds.PATHS:
            raise bounds.TooMuch(f"The Space would have more than {bounds.PATHS:,} files.")
        return files


def _without(files: dict[bytes, tuple[int, ObjectID]], gone: set[bytes]) -> set[bytes]:
    """Take these out; those that are folders, which stay.

    Raises:
        KeyError: one is neither.
    """
    folders = gone - files.keys()
    if folders and (absent := folders.difference(*map(_above, files))):
        raise KeyError(min(absent).decode())
    for path in gone - folders:
        del files[path]
    return folders


def _above(path: bytes) -> Iterator[bytes]:
    """The folders that a path lies in."""
    at = path.find(b"/")
    while at >= 0:
        yield path[:at]
        at = path.find(b"/", at + 1)


def squash(space_id: int, branch: str, message: str, *, author: str) -> None:
    """One commit with the branch's files in place of its history.

    Raises:
        locks.Busy
        UnknownRevision: the branch does not exist.
    """

    def squashed() -> None:
        ref = Ref(b"refs/heads/" + branch.encode())
        with opened(space_id) as repo:
            if not check_ref_format(ref) or ref not in repo.refs:
                raise UnknownRevision(f"There is no branch '{branch[:100]}'.")
            before = repo.refs[ref]
            commit = _commit(tree_id(repo, before.decode()), None, message, author)
            Store(repo, space_id).add_object(commit)
            if not repo.refs.set_if_equals(ref, before, commit.id):
                raise locks.Moved

    locks.exclusively(folder_of(space_id), squashed)


class Store:
    """Adds what is not there yet to a repository."""

    def __init__(self, repo: Repo, space_id: int) -> None:
        self._repo, self._folder = repo, folder_of(space_id)

    def add_object(self, made: ShaFile) -> None:
        """Add a folder, commit or tag."""
        if made.id in self._repo.object_store:
            loose.freshen(self._folder, made.id.decode())
            return
        content = io.BytesIO(made.as_raw_string())
        with loose.drafted(self._folder, made.type_name.decode(), content) as draft:
            draft.keep()


def _commit(root: ObjectID, parent: ObjectID | None, message: str, author: str) -> Commit:
    commit = Commit()
    commit.tree = root
    commit.parents = [parent] if parent is not None else []
    commit.author = commit.committer = identity(author)
    commit.commit_time = commit.author_time = int(time.time())
    commit.commit_timezone = commit.author_timezone = 0
    commit.encoding = b"UTF-8"
    commit.message = message.replace("\0", "").encode()
    return commit


def identity(author: str) -> bytes:
    """A user as git writes the author of a commit or tag."""
    name = author.replace("<", "").replace(">", "").replace("\n", " ")
    return f"{name} <{name}@users.noreply.spaceport>".encode()
