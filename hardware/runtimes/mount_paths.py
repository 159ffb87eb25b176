"""Where in a Space a named volume may be mounted. Paths are those of a Gradio Space's container; in an image
of its owner's the same ones are the system's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

HOME = "/home/user"
APP = f"{HOME}/app"
#: The Space's own folders that a volume may replace.
DATA = "/data"
#: What a volume must neither hide nor lie in.
TAKEN = (
    "/bin", "/boot", "/dev", "/etc", "/home/user/.cache", "/lib", "/lib32", "/lib64", "/libx32", "/opt/app",
    "/opt/launcher", "/opt/preloaded", "/opt/uv", "/opt/venv", "/proc", "/run", "/sbin", "/sys",
    "/tmp", "/usr", "/var",  # noqa: S108  # the container's
)  # fmt: skip
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]{1,64}){1,8}")


class BadMount(ValueError):
    """No volume can be mounted so; the message gives the reason."""


def check(paths: Iterable[str]) -> None:
    """Check that volumes can be mounted at these paths, all in one Space. A path inside another is refused:
    whoever writes to the outer volume could redirect the inner one's mount.

    Raises:
        BadMount
    """
    seen: list[str] = []
    for path in paths:
        if not _PATH.fullmatch(path):
            raise BadMount(
                f"'{path[:100]}' is no path to mount a volume at: it begins with '/', and has at most 8 "
                "parts of letters, digits, '.', '_' and '-'."
            )
        if any(_is_in(path, taken) or _is_in(taken, path) for taken in TAKEN) or _is_in(APP, path):
            raise BadMount(f"A volume at {path} would hide what the Space runs on. Mount it at /data.")
        if path != DATA and _is_in(path, DATA):
            raise BadMount(f"{path} is in the Space's own /data. Mount the volume at /data, or beside it.")
        if other := next((one for one in seen if _is_in(path, one) or _is_in(one, path)), ""):
            raise BadMount(f"Volumes are mounted beside each other, but {path} and {other} overlap.")
        seen.append(path)


def in_home(path: str, *, read_only: bool) -> str:
    """Where it is below the home of an app that is a plain process, which sees the machine's own file system.

    Raises:
        BadMount
    """
    if read_only:
        raise BadMount(
            "This platform runs without a container engine: nothing keeps a process from writing to a "
            "volume. Mount it without :ro."
        )
    if not path.startswith(f"{HOME}/") or _is_in(path, APP):
        raise BadMount(
            f"This platform runs without a container engine: a volume cannot be mounted at {path}, only "
            f"below {HOME} and outside of {APP}. {HOME}/store is ~/store to the app."
        )
    return path.removeprefix(f"{HOME}/")


def _is_in(path: str, folder: str) -> bool:
    """Whether it is this folder, or below it."""
    return path == folder or path.startswith(f"{folder}/")
