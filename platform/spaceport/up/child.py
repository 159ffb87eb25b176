"""One process of the platform, and its messages to the supervisor."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from infra.folders import private
from infra.notify import FD_VARIABLE

_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """In a child before exec: a supervisor that is killed leaves nothing behind (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(eq=False)
class Child:
    """One process of the platform. Start it from the main thread: it dies with the thread that started it."""

    name: str
    command: list[str]
    log: Path
    env: dict[str, str] = field(default_factory=dict)
    fds: tuple[int, ...] = ()  # open files of ours that it takes over, under the same numbers
    beside: bool = False  # whether its successor may live beside it; it then notifies when it is ready
    stays: bool = False  # it runs none of our code: renewing the others leaves it alone
    hurries: bool = False  # a second SIGTERM makes it end at once
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    deaths: int = 0
    restart_at: float = 0.0
    expected: bool = False  # its end is
    _pipe: int | None = None
    _received: bytes = b""

    def start(self) -> None:
        """Start it, its output appended to its log."""
        self.close()
        private(self.log.parent)
        self._pipe, theirs = os.pipe()
        os.set_blocking(self._pipe, False)
        out: IO[bytes]
        try:
            with self.log.open("ab") as out:
                self.log.chmod(0o600)
                self.process = subprocess.Popen(  # noqa: S603
                    self.command,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    env={**os.environ, **self.env, FD_VARIABLE: str(theirs)},
                    start_new_session=True,
                    preexec_fn=_die_with_parent,
                    pass_fds=(*self.fds, theirs),
                )
        finally:
            os.close(theirs)
        self.started = time.monotonic()

    def successor(self) -> Child:
        """Another one of the same kind, not started."""
        return replace(
            self, process=None, deaths=0, restart_at=0.0, expected=False, _pipe=None, _received=b""
        )

    def has_sent(self, word: str) -> bool:
        """Whether it has sent this word since it was started."""
        if self._pipe is not None:
            with contextlib.suppress(BlockingIOError):
                while chunk := os.read(self._pipe, 4096):
                    self._received += chunk
        return word.encode() in self._received.split(b"\n")

    def died(self) -> int | None:
        """Its exit status when it ended, else None."""
        return None if self.process is None else self.process.poll()

    def stop(self, sig: int = signal.SIGTERM) -> None:
        """Signal it to end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(sig)

    def wait_for(self, deadline: float) -> bool:
        """Whether it ended before the deadline."""
        if self.process is None:
            return True
        try:
            self.process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            return False
        return True

    def wait(self, deadline: float) -> None:
        """Until it ended; by force past the deadline."""
        if not self.wait_for(deadline):
            self.kill()
        self.close()

    def kill(self) -> None:
        """End it by force."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.close()

    def close(self) -> None:
        """Close its pipe."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe, self._received = None, b""
