"""Keeps tokens out of logs: they are in headers, and in addresses of pages."""

from __future__ import annotations

import logging
import re
from typing import TextIO
from urllib.parse import quote, unquote

#: API tokens; a page's token in its root path, and a large file's in its own; a visit's proof and others in
#: queries; the value of `Authorization`.
_SECRET = re.compile(
    r"(?P<page>/_(?:ui|lfs|xet)/)[^/?#\s\"']+"
    r"|(?P<query>(?:__visit|visit|token|access_token|__sign)=)[^&#\s\"']+"
    r"|(?P<scheme>(?i:bearer|basic) )[\w.~+/=:-]+"
    r"|\bhf_\w+"
)


def redacted(text: str) -> str:
    """The text with dots in place of every token in it."""
    return _SECRET.sub(lambda found: f"{found['page'] or found['query'] or found['scheme'] or ''}...", text)


def address(target: str) -> str:
    """A request's target as logs show it: without its query, and without tokens however they are spelled."""
    path = unquote(target.partition("?")[0])
    return quote(redacted(path), safe="/=:@!$&()*+,;~")


class Redaction(logging.Filter):
    """Keeps tokens out of what is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if (clean := redacted(message)) != message:
            record.msg, record.args = clean, ()
        return True


class AccessStream:
    """Where Daphne's access log is written to: its lines have the whole target of each request."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, line: str) -> None:
        """One line: `… "GET /target" 200 …`."""
        before, _, rest = line.partition('"')
        request, _, after = rest.rpartition('"')
        method, _, target = request.partition(" ")
        self._stream.write(f'{before}"{method} {address(target)}"{after}')
