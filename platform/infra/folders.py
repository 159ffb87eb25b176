"""Folders of this installation that no other account of the machine may look into."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE = 0o700


def private(folder: Path) -> Path:
    """The folder, made where it is missing; closed to others, also one that an earlier version made."""
    folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(PRIVATE)
    return folder
