"""Owners' Markdown as HTML. A small file can cost seconds to format, so what is formatted is bounded: its
size, its nesting, and how much of one owner's is formatted anew in a minute. The rest is shown as text."""

from __future__ import annotations

import threading
import zlib

import nh3
from django.core.cache import cache
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

TEXT_BYTES = 64 * 1024
HTML_BYTES = 512 * 1024  # short lines unfold to many times their size
NESTING = 20  # quotes in lists in quotes; what a bracket costs grows with it
OWNER_BYTES = 256 * 1024  # of one owner, formatted anew in `WINDOW_S`
WINDOW_S = 60
KEPT_S = 3600
WAIT_S = 5.0  # for another file that this process formats
AS_TEXT = "\0"  # kept in place of HTML that is too large
TAGS = nh3.ALLOWED_TAGS - {"img", "style", "svg", "math"}

_turn = threading.Lock()


def prose(owner_id: int, oid: str, text: str) -> SafeString | None:
    """The HTML of a Markdown file, made once for all viewers; None if it is to be shown as text.

    Args:
        oid: git's id of the file.
    """
    size = len(text.encode())
    if size > TEXT_BYTES:
        return None
    key = f"prose:{oid}"
    if (html := _kept(key)) is None:
        if not _turn.acquire(timeout=WAIT_S):
            return None
        try:
            if (html := _kept(key)) is None:
                if not _may_format(owner_id, size):
                    return None
                html = markdown(text)
                html = html if len(html) <= HTML_BYTES else AS_TEXT
                cache.set(key, zlib.compress(html.encode()), KEPT_S)
        finally:
            _turn.release()
    return mark_safe(html) if html != AS_TEXT else None  # noqa: S308  # cleaned by `markdown`


def markdown(text: str) -> SafeString:
    """Markdown as HTML without front matter, raw HTML, pictures or scripts."""
    lines = text.lstrip("\ufeff").splitlines()
    if lines and lines[0].strip() == "---":
        end = next((at for at, line in enumerate(lines[1:], 1) if line.strip() == "---"), 0)
        text = "\n".join(lines[end + 1 :]) if end else text
    html = MarkdownIt("js-default", {"maxNesting": NESTING}).render(text)
    clean = nh3.clean(
        html, tags=set(TAGS), link_rel="noopener nofollow", url_schemes={"http", "https", "mailto"}
    )
    return mark_safe(clean)  # noqa: S308  # cleaned the line above


def _kept(key: str) -> str | None:
    packed = cache.get(key)
    return zlib.decompress(packed).decode() if packed is not None else None


def _may_format(owner_id: int, size: int) -> bool:
    """Count it; whether the owner has so much left in this minute."""
    key = f"prose-bytes:{owner_id}"
    cache.add(key, 0, WINDOW_S)
    try:
        return cache.incr(key, size) <= OWNER_BYTES
    except ValueError:  # its minute ended just now
        return True
