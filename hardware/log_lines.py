"""How a live log lies in Redis: a capped stream, a line an entry. No Django: dispatchers write there too."""

from __future__ import annotations

from typing import Any

MAX_LINES = 5000
MAX_LINE_CHARS = 4000
KEPT_S = 30 * 24 * 3600


def fields(text: str, *, at: float, replica: int) -> dict[Any, Any]:
    """One line, written at `at` (Unix seconds) by this replica; 0: by the platform."""
    return {"at": f"{at:.6f}", "text": text[:MAX_LINE_CHARS], "replica": replica}
