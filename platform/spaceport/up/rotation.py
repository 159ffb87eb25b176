"""Log files that do not grow for ever. Their writers append and keep them open, so a full one is copied and
emptied."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

LIMIT_BYTES = 10 * 1024 * 1024
KEPT = 3  # older ones, `web.log.1` the newest


def rotate(path: Path) -> None:
    """Make room in this log if it is full."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size < LIMIT_BYTES:
            return
        for number in range(KEPT, 1, -1):
            with contextlib.suppress(FileNotFoundError):
                _older(path, number - 1).replace(_older(path, number))
        shutil.copy(path, _older(path, 1))  # with its rights: only its owner reads it
        os.truncate(path, 0)


def _older(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
