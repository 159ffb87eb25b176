"""Which paths a file of a repository may have."""

from __future__ import annotations

from pathlib import PurePosixPath

from spaces.git import bounds


class BadPath(ValueError):
    """A path that no file of a repository may have; the message gives the reason."""


def check_path(path: str) -> str:
    """The path, if a file of a repository may have it.

    Raises:
        BadPath
    """
    parts = PurePosixPath(path).parts
    if not path or path.startswith("/") or path.endswith("/") or "//" in path or "\\" in path:
        raise BadPath(
            f"'{path[:200]}' is no path inside the repository: it must be relative, with '/' between."
        )
    if any(ord(c) < 32 or ord(c) == 127 for c in path):
        raise BadPath(f"'{path[:200]!r}' has control characters.")
    if len(parts) > bounds.DEPTH:
        raise BadPath(f"'{path[:60]}…': a path may have at most {bounds.DEPTH} folders.")
    if path != "/".join(parts) or ".." in parts:
        raise BadPath(f"'{path[:200]}' leads outside the repository.")
    for part in parts:
        if part.lower() == ".git":
            raise BadPath(f"'{path[:200]}': '.git' is git's own.")
        if len(part.encode()) > bounds.NAME_BYTES:
            raise BadPath(f"'{path[:60]}…': a name may have at most {bounds.NAME_BYTES} bytes.")
    if len(path.encode()) > bounds.PATH_BYTES:
        raise BadPath(f"'{path[:60]}…': a path may have at most {bounds.PATH_BYTES} bytes.")
    return path
