"""Notifications from a process to its supervisor, like `sd_notify`: one a line, by the pipe
SPACEPORT_TELL_FD."""

from __future__ import annotations

import contextlib
import os

FD_VARIABLE = "SPACEPORT_TELL_FD"
READY = "ready"  # it serves, or would as soon as its predecessor lets go
LEAVING = "leaving"  # it is ending, and takes nothing more

# Not for processes of its own: there the number means another file.
_fd = os.environ.pop(FD_VARIABLE, "")


def notify(word: str) -> None:
    """Send it, if there is a supervisor."""
    if _fd:
        with contextlib.suppress(OSError):  # the supervisor is gone
            os.write(int(_fd), f"{word}\n".encode())


def is_supervised() -> bool:
    """Whether a supervisor started this process."""
    return bool(_fd)
