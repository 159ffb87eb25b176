"""The files of a backup: written and read as streams, with their sizes and checksums."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from spaceport.keeping.manifest import Manifest, Part, Refused

CHUNK = 1024 * 1024
REPORT_EVERY_S = 10.0
Report = Callable[[str], None]


def size(count: int) -> str:
    """Bytes as people read them."""
    for unit, bytes_of_it in (("GB", 1000**3), ("MB", 1000**2), ("kB", 1000)):
        if count >= bytes_of_it:
            return f"{count / bytes_of_it:,.1f} {unit}"
    return f"{count} bytes"


class Progress:
    """Reports the progress of one part now and then, and its size at the end."""

    def __init__(self, what: str, report: Report) -> None:
        self.bytes = 0
        self._what, self._report, self._at = what, report, time.monotonic()

    def add(self, count: int) -> None:
        self.bytes += count
        if time.monotonic() - self._at > REPORT_EVERY_S:
            self._at = time.monotonic()
            self._report(f"{self._what}: {size(self.bytes)} so far")

    def done(self) -> None:
        self._report(f"{self._what}: {size(self.bytes)}")


class Writing:
    """A part on its way into a backup's folder. At the end of the block it is on the disk, and `part`
    describes it."""

    part: Part

    def __init__(self, folder: Path, file: str, report: Report) -> None:
        path = folder / file
        path.parent.mkdir(exist_ok=True)
        self._name, self._file, self._digest = file, path.open("xb"), hashlib.sha256()
        self._progress = Progress(file, report)

    def __enter__(self) -> Writing:
        return self

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self._file.write(data)
        self._progress.add(len(data))
        return len(data)

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        with self._file:
            if kind is None:
                self._file.flush()
                os.fsync(self._file.fileno())
        self.part = Part(file=self._name, size_bytes=self._progress.bytes, sha256=self._digest.hexdigest())
        if kind is None:
            self._progress.done()


def chunks(path: Path) -> Iterator[bytes]:
    """The content of a file."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def verify(folder: Path, manifest: Manifest, report: Report) -> None:
    """Read the whole backup.

    Raises:
        Refused: it is not what was written.
    """
    for part in manifest.parts:
        path = folder / part.file
        if not path.is_file():
            raise Refused(f"The backup is damaged: {part.file} is missing.")
        digest, progress = hashlib.sha256(), Progress(f"checking {part.file}", report)
        for chunk in chunks(path):
            digest.update(chunk)
            progress.add(len(chunk))
        if (progress.bytes, digest.hexdigest()) != (part.size_bytes, part.sha256):
            raise Refused(
                f"The backup is damaged: {part.file} is not what was written (it has {progress.bytes:,} of "
                f"{part.size_bytes:,} bytes, or other ones). Take another backup."
            )


def packed(home: Path, folder: str, into: Writing) -> None:
    """Write a folder below `home` as a tar, however its files change meanwhile.

    Raises:
        Refused
    """
    command = ["tar", "--create", "--sparse", "--numeric-owner", "-C", str(home), folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tar:  # noqa: S603
        assert tar.stdout is not None
        assert tar.stderr is not None
        while chunk := tar.stdout.read(CHUNK):
            into.write(chunk)
        stderr = tar.stderr.read().decode(errors="replace").strip()
    if tar.returncode > 1:  # 1: files changed, or went
        raise Refused(f"{home / folder} cannot be read: {stderr[-500:]}")


def unpacked(path: Path, home: Path) -> None:
    """Extract a tar below `home`.

    Raises:
        Refused
    """
    command = ["tar", "--extract", "--preserve-permissions", "--numeric-owner", "-C", str(home)]
    done = subprocess.run(  # noqa: S603
        [*command, "-f", str(path)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Refused(f"{path.name} cannot be unpacked into {home}: {done.stderr.strip()[-500:]}")
