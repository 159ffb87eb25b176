"""How much room a Space's repository has, for pushes as for commits by the API. No Django: the check of a
push uses it too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from spaces.git.bounds import TooMuch


class NoRoom(TooMuch):
    """The repository would be larger than one may be here."""

    def __init__(self, size: int, most: int) -> None:
        super().__init__(f"The repository would have {size:,} bytes; at most {most:,} are kept of a Space.")


def used(folder: Path | str) -> int:
    """Bytes of all objects in a repository, including those of a push under examination."""
    return sum(_sizes(Path(folder) / "objects"))


def _sizes(folder: Path) -> Iterator[int]:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _sizes(Path(entry.path))
        else:
            try:
                yield entry.stat(follow_symlinks=False).st_size
            except FileNotFoundError:  # packed just now
                continue


class Room:
    """What a commit may still add. Files count as they come, unpacked; where that is too much, the repository
    is measured again."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self._left = most - used(folder)

    def take(self, size: int) -> None:
        """Take room for a file of this many bytes.

        Raises:
            NoRoom
        """
        if size > self._left:
            self._left = self._most - used(self._folder)
        if size > self._left:
            raise NoRoom(self._most - self._left + size, self._most)
        self._left -= size
