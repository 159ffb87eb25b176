"""A Space's files: a bare git repository, read without a checkout. `spaces.git.commits` writes it."""

from __future__ import annotations

import contextlib
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from dulwich.objects import S_ISGITLINK, Blob, Commit, ObjectID, Tree
from dulwich.refs import Ref
from dulwich.repo import Repo

from spaces.git import bounds
from spaces.git.objects import Objects, installed
from spaces.git.trees import Trees
from spaces.lfs.pointers import SIZES, Pointer, parsed

if TYPE_CHECKING:
    from spaces.models import Space

MAIN = Ref(b"refs/heads/main")
BRANCH = "main"
ALIKE = 20  # objects with the same prefix, among which a short id is searched for
READ_BYTES = 4 * 1024 * 1024  # of a file that is read whole


SIZES_REMEMBERED = 200_000
_sizes: dict[str, int] = {}  # of objects by their ids, whatever repository they are in
_pointers: dict[str, Pointer | None] = {}  # the same, for files that are as long as one


class UnknownRevision(LookupError):
    """The repository has no such branch, tag or commit."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file or folder. `oid` is git's id, `size` in bytes (0 for folders). A submodule is listed as a
    file, but its commit is in no repository of ours."""

    path: str
    oid: str
    size: int
    is_file: bool
    is_submodule: bool = False
    #: Of a large file (`spaces.lfs.files`), whose `size` is its own then.
    pointer: Pointer | None = None
    pointer_size: int = 0


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
                sha = repo.get_peeled(ref).decode()
                # git itself lets a branch be nothing else.
                if not ref.startswith(b"refs/heads/") and not _is_commit(space_id, repo, sha):
                    raise UnknownRevision(f"'{revision[:100]}' is no commit.")
                return sha
        if 7 <= len(revision) <= 40 and all(c in "0123456789abcdef" for c in revision):
            alike = islice(repo.object_store.iter_prefix(name), ALIKE)
            found = [oid.decode() for oid in alike if _is_commit(space_id, repo, oid.decode())]
            if len(found) == 1:
                return found[0]
    raise UnknownRevision(f"Invalid rev id: there is no revision '{revision[:100]}'.")


def _is_commit(space_id: int, repo: Repo, oid: str) -> bool:
    """Whether this is a commit, without reading what is too large for one: the id may be that of any file."""
    if ObjectID(oid.encode()) not in repo.object_store:
        return False
    small = _sizes_of(space_id, [oid]).get(oid, 0) <= bounds.OBJECT_BYTES
    return small and isinstance(repo[oid.encode()], Commit)


def exists(space: Space, path: str) -> bool:
    """Whether the head commit has this file."""
    return find(space.pk, head(space), path) is not None


def find(space_id: int, commit: str, path: str, *, sized: bool = True) -> Entry | None:
    """The file or folder at this path of a commit, or None."""
    return next(iter(find_all(space_id, commit, [path], sized=sized)), None)


def find_all(space_id: int, commit: str, paths: Iterable[str], *, sized: bool = True) -> list[Entry]:
    """The files and folders at those of these paths where there is one."""
    with opened(space_id) as repo:
        try:
            root = tree_id(repo, commit)
        except (KeyError, ValueError):  # there is no such commit
            return []
        trees = Trees(repo)
        found = [entry for path in paths if (entry := _find(trees, root, path)) is not None]
    return with_sizes(space_id, found) if sized else found


def read_blob(space_id: int, commit: str, path: str) -> bytes | None:
    """A file's content, of at most `READ_BYTES`; None for what is no file, or larger. Links are not followed:
    their text is answered."""
    found = find(space_id, commit, path) if commit else None
    if found is None or not found.is_file or found.is_submodule or found.size > READ_BYTES:
        return None
    with opened(space_id) as repo:
        blob = repo[found.oid.encode()]
        return bytes(blob.data) if isinstance(blob, Blob) else None


def tree(
    space_id: int, commit: str, path: str = "", *, recursive: bool = False, sized: slice | None = slice(None)
) -> list[Entry] | None:
    """The entries below a folder, in order of their paths, `bounds.PATHS` at most; None when there is no such
    folder. Only those in `sized` have their sizes, which costs a read of each; the others have 0."""
    with opened(space_id) as repo:
        oid = tree_id(repo, commit)
        if path:
            entry = _find(Trees(repo), oid, path)
            if entry is None or entry.is_file:
                return None
            oid = ObjectID(entry.oid.encode())
        root = repo[oid]
        assert isinstance(root, Tree)
        found = list(islice(_entries(repo, root, path, recursive=recursive), bounds.PATHS))
    found.sort(key=lambda e: e.path)
    if sized is not None:
        found[sized] = with_sizes(space_id, found[sized])
    return found


def log(space_id: int, revision: str, *, skip: int = 0, limit: int = 50) -> list[CommitInfo]:
    """Commits from this one back, newest first. Those that are skipped are git's to read: there may be
    many."""
    with opened(space_id) as repo:
        if skip + limit > 1 and installed():
            with Objects(folder_of(space_id)) as objects:
                ids = objects.commits(revision, skip=skip, limit=limit)
            return [info(commit) for oid in ids if isinstance(commit := repo[oid.encode()], Commit)]
        walker = repo.get_walker(include=[ObjectID(revision.encode())], max_entries=skip + limit)
        return [info(entry.commit) for entry in list(walker)[skip:]]


def tree_id(repo: Repo, commit: str) -> ObjectID:
    """A commit's root folder.

    Raises:
        UnknownRevision
    """
    found = repo[commit.encode()]
    if not isinstance(found, Commit):
        raise UnknownRevision(f"{commit} is no commit.")
    root: ObjectID = found.tree
    return root


def _find(trees: Trees, root: ObjectID, path: str) -> Entry | None:
    try:
        found = trees.at(root, path.encode())
    except ValueError:  # lone surrogates
        return None
    return _entry(path, *found) if found is not None else None


def _entry(path: str, mode: int, sha: ObjectID) -> Entry:
    return Entry(
        path=path, oid=sha.decode(), size=0, is_file=not stat.S_ISDIR(mode), is_submodule=S_ISGITLINK(mode)
    )


def with_sizes(space_id: int, entries: list[Entry]) -> list[Entry]:
    """The same, files with their sizes."""
    sizes = _sizes_of(space_id, [e.oid for e in entries if e.is_file])
    return [replace(e, size=sizes.get(e.oid, 0)) if e.is_file else e for e in entries]


def _sizes_of(space_id: int, oids: list[str]) -> dict[str, int]:
    """Bytes of these objects; those that are not there are left out."""
    known = {oid: size for oid in oids if (size := _sizes.get(oid)) is not None}
    if len(known) < len(set(oids)):
        with Objects(folder_of(space_id)) as objects:
            found = objects.sizes(oid for oid in oids if oid not in known)
        if len(_sizes) > SIZES_REMEMBERED:
            _sizes.clear()
        _sizes.update(found)
        known |= found
    return known


def pointers(space_id: int, entries: Iterable[Entry]) -> dict[str, Pointer]:
    """Those of these files, with sizes, that are pointers of Git LFS: git's ids and the parsed pointers."""
    wanted = dict.fromkeys(e.oid for e in entries if e.size in SIZES and not e.is_submodule)
    known = {oid: _pointers[oid] for oid in wanted if oid in _pointers}
    if len(known) < len(wanted):
        with Objects(folder_of(space_id)) as objects:
            found = {oid: parsed(objects.content(oid)) for oid in wanted if oid not in known}
        if len(_pointers) > SIZES_REMEMBERED:
            _pointers.clear()
        _pointers.update(found)
        known |= found
    return {oid: pointer for oid, pointer in known.items() if pointer is not None}


def _entries(repo: Repo, root: Tree, prefix: str, *, recursive: bool) -> Iterator[Entry]:
    """Depth first, `bounds.DEPTH` folders deep."""
    for item in root.iteritems():
        name = item.path.decode("utf-8", "replace")
        path = f"{prefix.rstrip('/')}/{name}" if prefix else name
        entry = _entry(path, item.mode, item.sha)
        yield entry
        if recursive and not entry.is_file and path.count("/") < bounds.DEPTH:
            below = repo[item.sha]
            assert isinstance(below, Tree)
            yield from _entries(repo, below, path, recursive=True)


def info(commit: Commit) -> CommitInfo:
    """One commit, as shown."""
    message = commit.message.decode("utf-8", "replace")
    title, _, rest = message.partition("\n")
    author = commit.author.decode("utf-8", "replace").partition(" <")[0]
    return CommitInfo(
        oid=commit.id.decode(), title=title, message=rest.strip(), author=author, date=commit.commit_time
    )
