"""Packs for clones and fetches: streamed as git makes them, limited in number and time. Nothing is
spooled; git waits while its reader takes nothing, and ends with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import AsyncIterator, Sequence
from typing import IO

from spaces.git.limiter import Limiter
from spaces.git.objects import allowed_s

CHUNK = 256 * 1024
PACKS = 8  # of this process at a time
PER_ADDRESS = 4
RETRY_S = 10
CHECK_EVERY_S = 5.0  # how often to check whether one takes too long


clones = Limiter("clones or fetches", PACKS, PER_ADDRESS)


class Pack:
    """The output of a git process. The process ends, and releases its slot, with its output, with `close`,
    when the pack is garbage-collected, or when it takes too long."""

    def __init__(self, command: Sequence[str], body: IO[bytes], env: dict[str, str], address: str) -> None:
        """
        Raises:
            Full
        """
        clones.acquire(address)
        try:
            # Unbuffered: the lines of the head are read first, and the rest by the event loop.
            self._process = subprocess.Popen(  # noqa: S603
                command, stdin=body, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=env, start_new_session=True, bufsize=0,
            )  # fmt: skip
        except BaseException:
            clones.release(address)
            raise
        self._run = _Run(self._process, address)
        weakref.finalize(self, self._run.end)
        threading.Thread(target=self._run.watch, name="git-pack", daemon=True).start()

    @property
    def out(self) -> IO[bytes]:
        """Its output, until it is iterated."""
        assert self._process.stdout is not None
        return self._process.stdout

    async def __aiter__(self) -> AsyncIterator[bytes]:
        reader = asyncio.StreamReader(CHUNK)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), self.out
        )
        try:
            while chunk := await reader.read(CHUNK):
                self._run.sent += len(chunk)
                yield chunk
        finally:
            transport.close()
            self.close()

    def close(self) -> None:
        """End git, whatever it does."""
        self._run.end()


class _Run:
    """One git, known by its pack and by the clock: neither may keep the other."""

    def __init__(self, process: subprocess.Popen[bytes], address: str) -> None:
        self._process, self._address = process, address
        self._began, self.sent = time.monotonic(), 0
        self._ended = threading.Event()
        self._lock = threading.RLock()  # the garbage collector may end one that is being ended

    def watch(self) -> None:
        """End it if it takes too long."""
        while not self._ended.wait(CHECK_EVERY_S):
            if time.monotonic() - self._began > allowed_s(self.sent):
                self.end()

    def end(self) -> None:
        with self._lock:
            if self._ended.is_set():
                return
            self._ended.set()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        clones.release(self._address)
