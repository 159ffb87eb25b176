"""Words from a process to its supervisor, as `sd_notify`: one a line, by the pipe SPACEPORT_TELL_FD."""

from __future__ import annotations

import contextlib
import os

TELL_VARIABLE = "SPACEPORT_TELL_FD"
READY = "ready"  # it serves, or would as soon as its predecessor lets go
LEAVING = "leaving"  # it is to end, and takes nothing more

# Not for processes of its own: there the number means another file.
_fd = os.environ.pop(TELL_VARIABLE, "")


def notify(word: str) -> None:
    """Send it, where a supervisor reads."""
    if _fd:
        with contextlib.suppress(OSError):  # the supervisor is gone
            os.write(int(_fd), f"{word}\n".encode())


def is_supervised() -> bool:
    """Whether a supervisor started this process."""
    return bool(_fd)
