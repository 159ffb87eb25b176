"""Folders of this installation: its name, and folders that no other account of the machine may read."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE = 0o700


def installation(home: Path) -> str:
    """Eight letters that distinguish what this platform makes from another's on the same machine, as its data
    folder has them."""
    path = home / "installation"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        name = secrets.token_hex(4)
        new = home / f"installation.{name}"
        new.write_text(name)
        with contextlib.suppress(FileExistsError):  # processes begin at the same moment
            path.hardlink_to(new)
        new.unlink()
    return path.read_text().strip()


def private(folder: Path) -> Path:
    """The folder, made where it is missing; closed to others, also one that an earlier version made."""
    folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(PRIVATE)
    return folder
