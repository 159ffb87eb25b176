"""The app's working folder: writable, though the image or the checkout it comes from is not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

#: Files above this size are linked, not copied: the writable folder may live in memory.
LINK_ABOVE_BYTES = 8 * 1024 * 1024


def stage() -> Path:
    """Copy SPACEPORT_CODE to SPACEPORT_WORK and answer the latter; without them, the current folder."""
    source, target = os.environ.get("SPACEPORT_CODE"), os.environ.get("SPACEPORT_WORK")
    if not source or not target:
        return Path.cwd()
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, copy_function=_copy_or_link)
    return Path(target)


def _copy_or_link(source: str, target: str) -> str:
    if os.path.lexists(target):
        Path(target).unlink()
    if Path(source).stat().st_size > LINK_ABOVE_BYTES:
        Path(target).symlink_to(source)
    else:
        shutil.copyfile(source, target)
        shutil.copymode(source, target)
    return target
