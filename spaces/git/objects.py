"""Objects of a bare repository by git's own `cat-file`: sizes from their headers alone, contents piece by
piece. Holding a whole file would take as much memory as its pusher likes. No Django: the
check of a push runs it too."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from pathlib import Path
from types import TracebackType

from spaces.git.bounds import OBJECT_BYTES, Item, TooMuch, parsed
from spaces.git.limiter import Limiter

CHUNK = 256 * 1024
AT_ONCE = 400  # requests in the pipe: they and their answers must fit
START_S = 300.0  # until a reader must have taken anything
LEAST_RATE = 64 * 1024  # bytes a second, from then on
LONGEST_S = 3600.0
#: Large files sent at a time by this process, and to one address; further ones wait. `hf download` takes
#: eight at a time, and one address may be shared by several people, some of whom read nothing.
DOWNLOADS, PER_ADDRESS = 64, 16
#: Files from here on are never compared with each other nor held in memory by git.
STREAMED_FROM = "8m"


def git(folder: Path | str, *arguments: str) -> list[str]:
    """A git command about this repository, deaf to what lies in it."""
    return [
        "git", "-c", "safe.directory=*", "-c", f"core.bigFileThreshold={STREAMED_FROM}",
        "-c", "core.hooksPath=/dev/null", f"--git-dir={folder}", *arguments,
    ]  # fmt: skip


class Objects:
    """Reads a repository's objects for as long as the block lasts."""

    def __init__(self, folder: Path | str, env: Mapping[str, str] | None = None) -> None:
        self._folder, self._env = folder, env
        self._headers: subprocess.Popen[bytes] | None = None
        self._contents: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Objects:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        for process in (self._headers, self._contents):
            if process is not None:
                process.kill()
                process.communicate()

    def sizes(self, oids: Iterable[str]) -> dict[str, int]:
        """Bytes of these objects, unpacked; those that are not there are left out."""
        wanted = list(dict.fromkeys(oids))
        if not installed():
            return {
                oid: len(content) for oid in wanted if (content := _loaded(self._folder, oid)) is not None
            }
        self._headers = self._headers or self._started("--batch-check=%(objectname) %(objectsize)")
        found: dict[str, int] = {}
        for at in range(0, len(wanted), AT_ONCE):
            for line in self._requested(self._headers, wanted[at : at + AT_ONCE]):
                name, _, size = line.partition(b" ")
                if size.strip().isdigit():
                    found[name.decode()] = int(size)
        return found

    def content(self, oid: str) -> bytes:
        """A small object: a folder, commit or tag.

        Raises:
            TooMuch: it is large.
            LookupError: it is not there.
        """
        size = self.sizes([oid]).get(oid)
        if size is None:
            raise LookupError(oid)
        if size > OBJECT_BYTES:
            raise TooMuch(f"A folder or commit of it has more than {OBJECT_BYTES:,} bytes.")
        if not installed():
            return _loaded(self._folder, oid) or b""
        self._contents = self._contents or self._started("--batch")
        next(iter(self._requested(self._contents, [oid])))
        assert self._contents.stdout is not None
        content = self._contents.stdout.read(size + 1)
        return content[:-1]

    def items(self, oid: str) -> list[Item]:
        """The entries of a folder.

        Raises:
            TooMuch, LookupError
        """
        return parsed(self.content(oid))

    def commits(self, newest: str, *, skip: int, limit: int) -> list[str]:
        """Ids of so many commits from this one back, newest first, without those skipped. Needs git."""
        command = git(self._folder, "rev-list", f"--skip={skip}", f"--max-count={limit}", newest, "--")
        done = subprocess.run(  # noqa: S603
            command, stdin=subprocess.DEVNULL, capture_output=True, env=self._env, check=True
        )
        return done.stdout.decode().split()

    def _started(self, how: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603
            git(self._folder, "cat-file", how),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._env,
        )

    @staticmethod
    def _requested(process: subprocess.Popen[bytes], oids: list[str]) -> Iterable[bytes]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("".join(f"{oid}\n" for oid in oids).encode())
        process.stdin.flush()
        return [process.stdout.readline() for _ in oids]


def installed() -> bool:
    """Whether there is a git on this machine. Without one nobody pushes, and uploads bound what is kept."""
    return shutil.which("git") is not None


def _loaded(folder: Path | str, oid: str) -> bytes | None:
    from dulwich.objects import ObjectID
    from dulwich.repo import Repo

    with Repo(str(folder)) as repo:
        wanted = ObjectID(oid.encode())
        return repo.object_store[wanted].as_raw_string() if wanted in repo.object_store else None


downloads = Limiter("downloads", DOWNLOADS, PER_ADDRESS)


def allowed_s(sent: int) -> float:
    """How long git may write for a reader that has taken this many bytes."""
    return min(START_S + sent / LEAST_RATE, LONGEST_S)


class BrokenOff(RuntimeError):
    """A file ended early: the client must not take the part it got for the whole."""


async def stream(folder: Path, oid: str, start: int, size: int, address: str) -> AsyncGenerator[bytes]:
    """So many bytes of a file from `start` on, as the visitor from this address takes them.

    Raises:
        BrokenOff: there is not so much of it, or the visitor takes too long.
        Full: too many others are sent something for too long.
    """
    await downloads.acquire_within(address, START_S)
    try:
        async with contextlib.aclosing(_content(folder, oid, start, size)) as chunks:
            sent = 0
            async for chunk in chunks:
                sent += len(chunk)
                yield chunk
        if sent < size:
            raise BrokenOff(f"{oid}: {sent:,} of {size:,} bytes were sent.")
    finally:
        downloads.release(address)


async def _content(folder: Path, oid: str, start: int, size: int) -> AsyncGenerator[bytes]:
    if not installed():
        yield (await asyncio.to_thread(_loaded, folder, oid) or b"")[start : start + size]
        return
    process = await asyncio.create_subprocess_exec(
        *git(folder, "cat-file", "blob", oid),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    began, sent = time.monotonic(), 0

    async def end_in_time() -> None:
        while (left_s := began + allowed_s(sent) - time.monotonic()) > 0:  # noqa: ASYNC110  # more is taken
            await asyncio.sleep(left_s)
        with contextlib.suppress(ProcessLookupError):
            process.kill()

    clock = asyncio.ensure_future(end_in_time())
    try:
        while start > 0 and (skipped := await process.stdout.read(min(start, CHUNK))):
            start -= len(skipped)
        while sent < size and (chunk := await process.stdout.read(min(size - sent, CHUNK))):
            sent += len(chunk)
            yield chunk
    finally:
        clock.cancel()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()  # with `wait` it would not end while some of its output is not read
