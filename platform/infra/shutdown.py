"""Whether this web process is about to end: its streams then stop at the first safe moment."""

from __future__ import annotations

_begun = False


def begin() -> None:
    """From now on, streams end as soon as nothing of their session is open."""
    global _begun
    _begun = True


def begun() -> bool:
    """Whether the process is leaving."""
    return _begun
