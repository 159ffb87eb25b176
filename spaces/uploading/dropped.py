"""What was dropped: files with their paths, or a zip archive of them. All of it is somebody's word."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from tempfile import SpooledTemporaryFile
from typing import IO

from spaces.git import bounds
from spaces.git.repository_paths import BadPath, check_path

CHUNK = 1024 * 1024
#: Left out wherever they lie, as `hf upload` leaves out `.git`: nobody means these.
LEFT_OUT_FOLDERS = {".git", "__MACOSX", "__pycache__", ".venv", "node_modules", ".ipynb_checkpoints"}
#: Files at the top of a Space.
TOP = {"README.md", "app.py", "Dockerfile", "index.html"}
LEFT_OUT_FILES = {".DS_Store", "Thumbs.db", "desktop.ini"}


class BadUpload(ValueError):
    """It cannot be taken; the message gives the reason, and what to do."""


@dataclass(frozen=True)
class Dropped:
    """One file: its path in the repository, and its content, which is seekable."""

    path: str
    content: IO[bytes]


def placed(files: Sequence[tuple[str, IO[bytes]]], folder: str, *, most_bytes: int) -> Iterator[Dropped]:
    """These files below `folder`, without the ones that nobody means. A single zip archive is unpacked, at
    most `most_bytes` of it. People drop and zip the folder of their Space: where everything lies in one
    folder that has a Space's own files (`TOP`), its name is left away.

    Raises:
        BadUpload
    """
    if not files:
        raise BadUpload("No files came. Choose some, or a folder, or a zip archive.")
    if len(files) == 1 and files[0][0].lower().endswith(".zip"):
        yield from _unpacked(files[0][1], folder, most_bytes)
        return
    meant = [(path, content) for path, content in files if _is_meant(path)]
    top = _common_folder(path for path, _ in meant)
    for path, content in meant:
        yield Dropped(_checked(folder, path.removeprefix(top)), content)


def _unpacked(archive: IO[bytes], folder: str, most_bytes: int) -> Iterator[Dropped]:
    try:
        with zipfile.ZipFile(archive) as opened:
            files = (entry for entry in opened.infolist() if not entry.is_dir())
            entries = [entry for entry in files if _is_meant(entry.filename)]
            _check(entries, most_bytes)
            top = _common_folder(entry.filename for entry in entries)
            for entry in entries:
                path = _checked(folder, entry.filename.removeprefix(top))
                with opened.open(entry) as packed, SpooledTemporaryFile(CHUNK) as content:
                    while chunk := packed.read(CHUNK):
                        content.write(chunk)
                    yield Dropped(path, content)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as error:
        raise BadUpload(f"The zip archive cannot be read: {error}. Zip the folder again.") from error


def _check(entries: Sequence[zipfile.ZipInfo], most_bytes: int) -> None:
    if not entries:
        raise BadUpload("The zip archive has no files.")
    if len(entries) > bounds.PATHS:
        raise BadUpload(f"The zip archive has more than {bounds.PATHS:,} files.")
    # What an entry says of its size bounds what is read of it.
    if sum(entry.file_size for entry in entries) > most_bytes:
        raise BadUpload(f"Unpacked, the zip archive has more than {most_bytes:,} bytes. Use hf upload.")
    for entry in entries:
        if entry.flag_bits & 1:
            raise BadUpload("The zip archive has a password. Zip the folder without one.")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise BadUpload(f"'{entry.filename[:200]}' in the zip archive is a link. Put the file there.")


def _is_meant(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return not LEFT_OUT_FOLDERS.intersection(parts[:-1]) and (not parts or parts[-1] not in LEFT_OUT_FILES)


def _common_folder(paths: Iterable[str]) -> str:
    """A Space's folder that all of these lie in, with its slash; "" where there is none."""
    parted = [path.partition("/") for path in paths]
    folders = {folder if slash else "" for folder, slash, _ in parted}
    is_top = any(rest in TOP for _, _, rest in parted)
    return f"{folders.pop()}/" if is_top and len(folders) == 1 else ""


def _checked(folder: str, path: str) -> str:
    try:
        return check_path(f"{folder}/{path}" if folder else path)
    except BadPath as error:
        raise BadUpload(str(error)) from error
