"""The app's working folder: a copy of its own where the code is not the container's own already."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def stage() -> Path:
    """Copy SPACEPORT_CODE to SPACEPORT_WORK and answer the latter; without them, the current folder."""
    source, target = os.environ.get("SPACEPORT_CODE"), os.environ.get("SPACEPORT_WORK")
    if not source or not target:
        return Path.cwd()
    # A link to the original would be no file of the app's: it could not be handed back or appended to.
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, copy_function=_copy)
    return Path(target)


def _copy(source: str, target: str) -> str:
    if os.path.lexists(target):
        Path(target).unlink()
    shutil.copyfile(source, target)
    shutil.copymode(source, target)
    return target
