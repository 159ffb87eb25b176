"""Static files of the platform's pages: a hash in their names lets browsers keep them for ever, and they are
compressed ahead of requests. Until they are collected, as in tests, names are plain."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import brotli
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management import call_command
from servestatic.compress import Compressor
from servestatic.middleware import ServeStaticMiddleware
from servestatic.storage import CompressedManifestStaticFilesStorage

from infra.folders import private

#: Files of packages that no page requests, or only Django's admin in other languages. They keep their plain
#: names: compressing them would double the time of the first start.
LEFT_OUT = ["*.map", "redoc*", "htmax*", "htmx-4*", "htmx-2.js", "jquery.js", "xregexp.js", "i18n"]
BROTLI_QUALITY = 9  # 11 takes twenty times as long for 3 % less
#: Seconds that files of earlier versions stay for pages that are open.
KEPT_S = 7 * 24 * 3600


class _Compressor(Compressor):  # type: ignore[misc]
    @staticmethod
    def compress_brotli(data: bytes) -> bytes:
        return bytes(brotli.compress(data, quality=BROTLI_QUALITY))


class Storage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Names with a hash for what was collected, plain names for everything else."""

    # Links between stylesheets stay as they are: they are relative, and lead to the plain names.
    patterns = ()

    def stored_name(self, name: str) -> str:
        hashed: str = self.hashed_files.get(self.hash_key(self.clean_name(name)), name)
        return hashed

    def create_compressor(self, **kwargs: Any) -> Compressor:
        return _Compressor(**kwargs)


class Middleware(ServeStaticMiddleware):  # type: ignore[misc]
    """Sends static files; there need not be a collection."""

    FOREVER = 365 * 24 * 3600

    def add_files(self, root: str | os.PathLike[str], prefix: str | None = None) -> None:
        if Path(root).is_dir():
            super().add_files(root, prefix)


def collect() -> None:
    """Bring STATIC_ROOT up to date; a moment's work if nothing has changed. Processes may do so at once.

    Raises:
        OSError
    """
    root = private(Path(settings.STATIC_ROOT))
    with root.with_suffix(".state").open("a+") as note:
        fcntl.flock(note, fcntl.LOCK_EX)
        note.seek(0)
        state = _state()
        if note.read() == state and (root / Storage.manifest_name).exists():
            return
        note.truncate(0)
        for path in _current(root):
            path.touch()  # from now on it may be of the past
        call_command("collectstatic", interactive=False, verbosity=0, ignore_patterns=LEFT_OUT)
        _remove_old(root)
        note.write(state)


def _current(root: Path) -> list[Path]:
    """The files of the latest collection; those made of them are named like them."""
    names = {Storage.manifest_name, *Storage().hashed_files.values()}
    return [path for name in names for path in root.joinpath(name).parent.glob(f"{Path(name).name}*")]


def _remove_old(root: Path) -> None:
    """Files age from the collection that brought others in their place."""
    current = set(_current(root))
    limit = time.time() - KEPT_S
    for path in [*root.rglob("*")]:
        if path not in current and path.is_file() and path.stat().st_mtime < limit:
            path.unlink()


def _state() -> str:
    """A digest that changes with the files, or with how they are made."""
    known = hashlib.sha256(Path(__file__).read_bytes())
    for name, path in _files():
        stat = path.stat()
        known.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return known.hexdigest()


def _files() -> Iterator[tuple[str, Path]]:
    for finder in finders.get_finders():
        for name, storage in finder.list(LEFT_OUT):
            yield name, Path(storage.path(name))
