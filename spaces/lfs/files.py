"""The files of a Space with the large ones as what they are: a pointer stands for its object where the Space
has that, and is an ordinary file anywhere else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace

from spaces.git import objects, repository
from spaces.git.repository import Entry
from spaces.lfs import holdings, sending, store


def find(space_id: int, commit: str, path: str) -> Entry | None:
    """The file or folder at this path of a commit, or None."""
    return next(iter(find_all(space_id, commit, [path])), None)


def find_all(space_id: int, commit: str, paths: Iterable[str]) -> list[Entry]:
    """The files and folders at those of these paths where there is one."""
    return resolved(space_id, repository.find_all(space_id, commit, paths))


def tree(
    space_id: int, commit: str, path: str = "", *, recursive: bool = False, sized: slice | None = slice(None)
) -> list[Entry] | None:
    """As `repository.tree`; those in `sized` as what they are."""
    found = repository.tree(space_id, commit, path, recursive=recursive, sized=sized)
    if found is not None and sized is not None:
        found[sized] = resolved(space_id, found[sized])
    return found


def with_sizes(space_id: int, entries: list[Entry]) -> list[Entry]:
    """The same, files with their sizes, and as what they are."""
    return resolved(space_id, repository.with_sizes(space_id, entries))


def resolved(space_id: int, entries: list[Entry]) -> list[Entry]:
    """The same; `size` is the file's own, and `pointer` None for ordinary files."""
    pointers = repository.pointers(space_id, [e for e in entries if e.is_file])
    sizes = holdings.sizes(space_id, (p.oid for p in pointers.values())) if pointers else {}
    return [
        replace(e, size=p.size, pointer=p, pointer_size=e.size)
        if e.is_file and (p := pointers.get(e.oid)) is not None and sizes.get(p.oid) == p.size
        else e
        for e in entries
    ]


def read(space_id: int, commit: str, entry: Entry) -> bytes | None:
    """A file's content, of at most `repository.READ_BYTES`; None for what is no file, or larger."""
    if entry.pointer is None:
        return repository.read_blob(space_id, commit, entry.path)
    if entry.size > repository.READ_BYTES:
        return None
    return store.path_of(entry.pointer.oid).read_bytes()


def stream(space_id: int, entry: Entry, start: int, size: int, address: str) -> AsyncGenerator[bytes]:
    """So many bytes of a file from `start` on, as the visitor from this address takes them.

    Raises:
        objects.BrokenOff, spaces.git.limiter.Full
    """
    if entry.pointer is not None:
        return sending.content(store.path_of(entry.pointer.oid), start, size, address)
    return objects.stream(repository.folder_of(space_id), entry.oid, start, size, address)
