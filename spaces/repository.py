"""A Space's files: a bare git repository, written and read without a checkout."""

from __future__ import annotations

import contextlib
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from django.conf import settings
from dulwich.errors import NotTreeError
from dulwich.object_store import iter_tree_contents
from dulwich.objects import Blob, Commit, ObjectID, SubmoduleEncountered, Tree
from dulwich.refs import Ref
from dulwich.repo import Repo

if TYPE_CHECKING:
    from spaces.models import Space

MAIN = Ref(b"refs/heads/main")
BRANCH = "main"
MAX_PATH_BYTES = 1024
MAX_NAME_BYTES = 200


class BadPath(ValueError):
    """A path that no file of a repository may have; the message says why."""


class UnknownRevision(LookupError):
    """The repository has no such branch, tag or commit."""


class Stale(RuntimeError):
    """Somebody else committed meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file or folder. `oid` is git's id, `size` in bytes (0 for folders)."""

    path: str
    oid: str
    size: int
    is_file: bool


@dataclass(frozen=True, kw_only=True)
class CommitInfo:
    """One commit; `date` in Unix seconds."""

    oid: str
    title: str
    message: str
    author: str
    date: float


def folder_of(space_id: int) -> Path:
    """Where the repository of this Space lies."""
    return Path(settings.SPACEPORT_HOME) / "repositories" / f"{space_id}.git"


def create(space: Space, *, author: str, files: dict[str, bytes]) -> str:
    """A new repository with a first commit; its id."""
    folder = folder_of(space.pk)
    folder.mkdir(parents=True)
    repo = Repo.init_bare(folder, default_branch=BRANCH.encode())
    repo.close()
    changes = Changes(space.pk)
    for path, content in files.items():
        changes.add(path, content)
    return changes.commit("initial commit", author=author)


def copy(source: Space, target: Space) -> None:
    """Give `target` the history and files of `source`'s `main`, in place of its own."""
    with opened(source.pk) as there, opened(target.pk) as here:
        commit = there.refs[MAIN]

        def wanted(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:
            return [commit]

        there.fetch(here, determine_wants=wanted)
        here.refs[MAIN] = commit


def remove(space: Space) -> None:
    """Delete the repository. One that is gone is no error."""
    shutil.rmtree(folder_of(space.pk), ignore_errors=True)


@contextlib.contextmanager
def opened(space_id: int) -> Iterator[Repo]:
    """The repository, closed afterwards."""
    repo = Repo(str(folder_of(space_id)))
    try:
        yield repo
    finally:
        repo.close()


# --- reading ----------------------------------------------------------------------------------------


def head(space: Space) -> str:
    """The commit `main` points at; "" in an empty repository."""
    with opened(space.pk) as repo:
        return repo.refs[MAIN].decode() if MAIN in repo.refs else ""


def resolve(space_id: int, revision: str) -> str:
    """The commit id of a branch, tag, ref or (short) commit id.

    Raises:
        UnknownRevision
    """
    name = revision.encode("utf-8", "replace")
    with opened(space_id) as repo:
        for ref in map(Ref, (b"refs/heads/" + name, b"refs/tags/" + name, name)):
            if ref.startswith(b"refs/") and ref in repo.refs:
                sha = repo.get_peeled(ref)
                return sha.decode()
        if 7 <= len(revision) <= 40 and all(c in "0123456789abcdef" for c in revision):
            if len(revision) == 40 and ObjectID(name) in repo.object_store and isinstance(repo[name], Commit):
                return revision
            for entry in repo.get_walker(max_entries=10_000) if MAIN in repo.refs else ():
                if entry.commit.id.startswith(name):
                    return entry.commit.id.decode()
    raise UnknownRevision(f"There is no revision '{revision[:100]}'.")


def exists(space: Space, path: str) -> bool:
    """Whether the head commit has this file."""
    return find(space.pk, head(space), path) is not None


def find(space_id: int, commit: str, path: str) -> Entry | None:
    """The file or folder at this path of a commit, or None."""
    with opened(space_id) as repo:
        return _find(repo, commit, path)


def read_blob(space_id: int, commit: str, path: str) -> bytes | None:
    """A file's content; None for what is no file. Links are not followed: their text is answered."""
    if not commit:
        return None
    with opened(space_id) as repo:
        entry = _find(repo, commit, path)
        # A submodule's commit is in no repository of ours.
        if entry is None or not entry.is_file or ObjectID(entry.oid.encode()) not in repo.object_store:
            return None
        blob = repo[entry.oid.encode()]
        return bytes(blob.data) if isinstance(blob, Blob) else None


def tree(space_id: int, commit: str, path: str = "", *, recursive: bool = False) -> list[Entry] | None:
    """The entries below a folder, in order of their paths; None when there is no such folder."""
    with opened(space_id) as repo:
        root = repo[_tree_id(repo, commit)]
        if path:
            entry = _find(repo, commit, path)
            if entry is None or entry.is_file:
                return None
            root = repo[entry.oid.encode()]
        assert isinstance(root, Tree)
        return sorted(_entries(repo, root, path, recursive=recursive), key=lambda e: e.path)


def log(space_id: int, revision: str, *, skip: int = 0, limit: int = 50) -> list[CommitInfo]:
    """Commits from this one back, newest first."""
    with opened(space_id) as repo:
        walker = repo.get_walker(include=[ObjectID(revision.encode())], max_entries=skip + limit)
        return [info(entry.commit) for entry in list(walker)[skip:]]


def refs(space_id: int) -> tuple[dict[str, str], dict[str, str]]:
    """Branches and tags: name to commit."""
    with opened(space_id) as repo:
        found = repo.get_refs()
        branches = {r[11:].decode(): s.decode() for r, s in found.items() if r.startswith(b"refs/heads/")}
        tags = {r[10:].decode(): repo.get_peeled(r).decode() for r in found if r.startswith(b"refs/tags/")}
        return branches, tags


def export(space: Space, commit: str, folder: Path) -> None:
    """Write a commit's files below `folder`. Links and submodules are left out: they could lead outside."""
    folder.mkdir(parents=True, exist_ok=True)
    with opened(space.pk) as repo:
        for item in iter_tree_contents(repo.object_store, _tree_id(repo, commit)):
            if item.mode is None or item.path is None or item.sha is None or not stat.S_ISREG(item.mode):
                continue
            path = check_path(item.path.decode("utf-8", "replace"))
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            blob = repo[item.sha]
            assert isinstance(blob, Blob)
            target.write_bytes(blob.data)
            target.chmod(0o755 if item.mode & 0o100 else 0o644)


def _tree_id(repo: Repo, commit: str) -> ObjectID:
    found = repo[commit.encode()]
    if not isinstance(found, Commit):
        raise UnknownRevision(f"{commit} is no commit.")
    tree_id: ObjectID = found.tree
    return tree_id


def _find(repo: Repo, commit: str, path: str) -> Entry | None:
    try:
        root = repo[_tree_id(repo, commit)]
        assert isinstance(root, Tree)
        mode, sha = root.lookup_path(repo.object_store.__getitem__, path.encode())
    except (KeyError, ValueError, NotADirectoryError, NotTreeError, SubmoduleEncountered):
        return None
    return _entry(repo, path, mode, sha)


def _entry(repo: Repo, path: str, mode: int, sha: ObjectID) -> Entry:
    is_file = not stat.S_ISDIR(mode)
    size = 0
    if is_file and sha in repo.object_store:
        size = repo.object_store[sha].raw_length()
    return Entry(path=path, oid=sha.decode(), size=size, is_file=is_file)


def _entries(repo: Repo, root: Tree, prefix: str, *, recursive: bool) -> Iterator[Entry]:
    for item in root.iteritems():
        name = item.path.decode("utf-8", "replace")
        path = f"{prefix.rstrip('/')}/{name}" if prefix else name
        entry = _entry(repo, path, item.mode, item.sha)
        yield entry
        if recursive and not entry.is_file:
            below = repo[item.sha]
            assert isinstance(below, Tree)
            yield from _entries(repo, below, path, recursive=True)


def info(commit: Commit) -> CommitInfo:
    """What is told of a commit."""
    message = commit.message.decode("utf-8", "replace")
    title, _, rest = message.partition("\n")
    author = commit.author.decode("utf-8", "replace").partition(" <")[0]
    return CommitInfo(
        oid=commit.id.decode(), title=title, message=rest.strip(), author=author, date=commit.commit_time
    )


# --- writing ----------------------------------------------------------------------------------------


def check_path(path: str) -> str:
    """The path, if a file of a repository may have it.

    Raises:
        BadPath
    """
    parts = PurePosixPath(path).parts
    if not path or path.startswith("/") or path.endswith("/") or "//" in path or "\\" in path:
        raise BadPath(
            f"'{path[:200]}' is no path inside the repository: it must be relative, with '/' between."
        )
    if any(ord(c) < 32 or ord(c) == 127 for c in path):
        raise BadPath(f"'{path[:200]!r}' has control characters.")
    if path != "/".join(parts) or ".." in parts:
        raise BadPath(f"'{path[:200]}' leads outside the repository.")
    for part in parts:
        if part.lower() == ".git":
            raise BadPath(f"'{path[:200]}': '.git' is git's own.")
        if len(part.encode()) > MAX_NAME_BYTES:
            raise BadPath(f"'{path[:60]}…': a name may have at most {MAX_NAME_BYTES} bytes.")
    if len(path.encode()) > MAX_PATH_BYTES:
        raise BadPath(f"'{path[:60]}…': a path may have at most {MAX_PATH_BYTES} bytes.")
    return path


class Changes:
    """Files added and deleted, to become one commit on a branch. Contents are stored as they come."""

    def __init__(self, space_id: int) -> None:
        self.space_id = space_id
        self._blobs: dict[str, ObjectID] = {}
        self._deleted: set[str] = set()
        self._deleted_folders: set[str] = set()

    def add(self, path: str, content: bytes | BinaryIO) -> None:
        """Add or replace a file.

        Raises:
            BadPath
        """
        check_path(path)
        blob = Blob.from_string(content if isinstance(content, bytes) else content.read())
        with opened(self.space_id) as repo:
            repo.object_store.add_object(blob)
        self._blobs[path] = blob.id

    def delete(self, path: str) -> None:
        """Delete a file."""
        self._deleted.add(path.strip("/"))

    def delete_folder(self, path: str) -> None:
        """Delete a folder with all in it."""
        self._deleted_folders.add(path.strip("/") + "/")

    def commit(self, message: str, *, author: str, branch: str = BRANCH, parent: str | None = None) -> str:
        """Make the commit; its id. Without any change the head as it is.

        Raises:
            KeyError: a file to delete that does not exist.
            Stale: `parent` is not the head, or the head moved meanwhile.
            UnknownRevision: the branch does not exist.
        """
        ref = Ref(b"refs/heads/" + branch.encode())
        with opened(self.space_id) as repo:
            before = repo.refs[ref] if ref in repo.refs else None  # noqa: SIM401  # no `get` there
            if before is None and MAIN in repo.refs:
                raise UnknownRevision(f"There is no branch '{branch}'.")
            if parent is not None and (before is None or before.decode() != parent):
                raise Stale(f"The branch {branch} has moved on from {parent[:12]}; pull first.")
            files = self._files_of(repo, before)
            new_tree = _write_tree(repo, files)
            if before is not None and _tree_id(repo, before.decode()) == new_tree:
                return before.decode()
            commit = _commit(new_tree, before, message, author)
            repo.object_store.add_object(commit)
            if not repo.refs.set_if_equals(ref, before, commit.id):
                raise Stale(f"Somebody else committed to {branch} at the same moment; try again.")
            return commit.id.decode()

    def _files_of(self, repo: Repo, before: ObjectID | None) -> dict[bytes, tuple[int, ObjectID]]:
        files: dict[bytes, tuple[int, ObjectID]] = {}
        if before is not None:
            for item in iter_tree_contents(repo.object_store, _tree_id(repo, before.decode())):
                if item.path is not None and item.mode is not None and item.sha is not None:
                    files[item.path] = (item.mode, item.sha)
        for folder in self._deleted_folders:
            for inside in [p for p in files if p.startswith(folder.encode())]:
                del files[inside]
        for gone in self._deleted:
            if gone.encode() not in files:
                raise KeyError(gone)
            del files[gone.encode()]
        for path, sha in self._blobs.items():
            _make_room(files, path)
            mode = files.get(path.encode(), (0o100644, sha))[0]
            files[path.encode()] = (mode if stat.S_ISREG(mode) else 0o100644, sha)
        return files


def _make_room(files: dict[bytes, tuple[int, ObjectID]], path: str) -> None:
    """A file may replace a folder of its name, and a folder a file."""
    for parent in PurePosixPath(path).parents:
        files.pop(str(parent).encode(), None)
    prefix = path.encode() + b"/"
    for inside in [p for p in files if p.startswith(prefix)]:
        del files[inside]


def _write_tree(repo: Repo, files: dict[bytes, tuple[int, ObjectID]]) -> ObjectID:
    from dulwich.index import commit_tree

    return commit_tree(repo.object_store, [(p, sha, mode) for p, (mode, sha) in files.items()])


def _commit(tree_id: ObjectID, parent: ObjectID | None, message: str, author: str) -> Commit:
    commit = Commit()
    commit.tree = tree_id
    commit.parents = [parent] if parent is not None else []
    name = author.replace("<", "").replace(">", "").replace("\n", " ")
    commit.author = commit.committer = f"{name} <{name}@users.noreply.spaceport>".encode()
    commit.commit_time = commit.author_time = int(time.time())
    commit.commit_timezone = commit.author_timezone = 0
    commit.encoding = b"UTF-8"
    commit.message = message.replace("\0", "").encode()
    return commit
