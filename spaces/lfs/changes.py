"""Large files in a commit by the Hub's API: what the repository gets in their place, and that git-lfs takes
them for such."""

from __future__ import annotations

import hashlib
import io
from typing import IO, TYPE_CHECKING, Any

from accounts import access
from spaces.git import repository
from spaces.git.commits import Changes
from spaces.lfs import holdings, store
from spaces.lfs.attributes import CHARS, NAME, Attributes, with_files
from spaces.lfs.pointers import SIZES, Pointer, parsed
from spaces.lfs.store import CHUNK, Incoming, Refused

if TYPE_CHECKING:
    from spaces.models import Space


def attributes_of(space: Space, commit: str) -> str:
    """The `.gitattributes` at the top of a commit."""
    raw = repository.read_blob(space.pk, commit, NAME) if commit else None
    return raw.decode("utf-8", "replace") if raw else ""


class LargeFiles:
    """The large files of one commit."""

    def __init__(self, space: Space, user: access.Account, changes: Changes, branch: str) -> None:
        self._space, self._user, self._changes = space, user, changes
        self._text = attributes_of(space, repository.resolve(space.pk, branch))
        self._rules = Attributes(self._text)
        self._paths: list[str] = []

    def add(self, path: str, content: IO[bytes]) -> None:
        """A file that came as an ordinary one; kept as a large one where `.gitattributes` selects it.

        Raises:
            Refused: a pointer at an object that the Space does not have.
            spaces.git.repository_paths.BadPath, spaces.git.room.NoRoom
        """
        size = content.seek(0, io.SEEK_END)
        content.seek(0)
        if path == NAME and size <= CHARS:
            self._text = content.read().decode("utf-8", "replace")
            self._rules = Attributes(self._text)
        elif size in SIZES and (pointer := parsed(content.read())) is not None:
            self._check_stored(path, pointer)
        elif size and self._rules.by_lfs(path):
            content = io.BytesIO(self._stored(content, size).text)
        self._changes.add(path, content)

    def point(self, path: str, value: dict[str, Any]) -> None:
        """A file that was uploaded before, as the Hub's operation `lfsFile` names it.

        Raises:
            Refused: it was not.
            spaces.git.repository_paths.BadPath, spaces.git.room.NoRoom
        """
        oid, size = value.get("oid"), value.get("size")
        if value.get("algo", "sha256") != "sha256" or not isinstance(oid, str):
            raise Refused(400, f"'{path[:200]}': a large file is named by its SHA-256.")
        store.check_oid(oid)
        if size is None:  # a copy on the server
            size = store.size_of(oid) or 0
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise Refused(400, f"'{path[:200]}': the size of a large file is a number of bytes.")
        self._check_stored(path, Pointer(oid, size))
        self._changes.add(path, Pointer(oid, size).text)
        self._paths.append(path)

    def finish(self) -> None:
        """Have git-lfs take the files for large ones."""
        if new := [path for path in self._paths if not self._rules.by_lfs(path)]:
            self._changes.add(NAME, with_files(self._text, new).encode())

    def _check_stored(self, path: str, pointer: Pointer) -> None:
        if not holdings.borrow(self._space.pk, self._user, pointer):
            raise Refused(
                400,
                f"'{path[:200]}' is a large file (LFS) of {pointer.size:,} bytes that is not here; upload it "
                "first, then commit.",
            )

    def _stored(self, content: IO[bytes], size: int) -> Pointer:
        digest = hashlib.sha256()
        while chunk := content.read(CHUNK):
            digest.update(chunk)
        content.seek(0)
        pointer = Pointer(digest.hexdigest(), size)
        if holdings.borrow(self._space.pk, None, pointer):
            return pointer
        holdings.check_fits(self._space.pk, size)
        with Incoming(self._space.pk, pointer.oid, size) as incoming:
            while chunk := content.read(CHUNK):
                incoming.write(chunk)
            holdings.keep(self._space.pk, incoming)
        return pointer
