"""The range of bytes of a request (RFC 9110, section 14.1)."""

from __future__ import annotations

import re

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """The first and the last byte of a `Range` header, for a file of `size` bytes; None where it names no
    range, several, or other units. The first lies behind the last where the file has none of them."""
    match = _RANGE.fullmatch(header)
    first, last = match.groups() if match is not None else ("", "")
    if not (first or last):
        return None
    start = int(first) if first else max(size - int(last), 0)
    return start, min(int(last), size - 1) if first and last else size - 1
