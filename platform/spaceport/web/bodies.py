"""How large a request's body may be, decided by its head: before any of it is collected on disk or in memory.

Ordinary requests are small. Larger ones are taken where somebody may send them: files for a Space with
a token that may write; events and uploads for an app that the visitor may use."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from accounts.auth import token_in
from accounts.models import AccessToken
from queueing.events import encode
from spaceport.web.monitor import App, Message, Receive, Scope, Send

MEGABYTE = 1024 * 1024
ORDINARY = 2 * MEGABYTE
SPACE = r"/api/spaces/[^/]+/[^/]+"
PREUPLOAD = re.compile(rf"{SPACE}/preupload/.+", re.DOTALL)
FILES = re.compile(rf"{SPACE}/commit/.+|/(?:spaces/)?[^/]+/[^/]+/git-receive-pack", re.DOTALL)
#: Of the pages: what somebody who is signed in drops on one.
DROPPED = re.compile(r"/[^/]+/[^/]+/upload")
PREUPLOAD_BYTES = 4 * MEGABYTE

CHECK_EVERY_BYTES = 64 * MEGABYTE  # of a body, between two checks of the disk that it is collected on

#: How many bytes the app may be sent with this request; None where its sender may not use it.
OfApp = Callable[[Scope], Awaitable[int | None]]


@dataclass(frozen=True)
class OnDisk:
    """Where a server collects bodies that it does not hand on as they come: `folder` is on the file system
    where what is in them will lie, `fault` gives the reason, in a sentence, why no more is taken ("" while
    more is)."""

    folder: Callable[[], Path]
    fault: Callable[[], str]


#: The status and headers of a refusal, and its body.
Refusal = tuple[int, list[tuple[bytes, bytes]], bytes]


class Limits:
    """The limits of this platform: `files_bytes` of one push or commit; `of_app` gives the limit of a request
    to an app, `of_large_file` that of a large file sent to a path of the platform, and `on_disk` where such a
    body may be collected."""

    def __init__(
        self,
        *,
        files_bytes: int,
        is_app: Callable[[Scope], bool],
        of_app: OfApp,
        of_large_file: Callable[[str], int] = lambda _: 0,
        on_disk: OnDisk | None = None,
    ) -> None:
        self._files_bytes, self._is_app, self._of_app = files_bytes, is_app, of_app
        self._of_large_file = of_large_file
        self.on_disk = on_disk

    async def most(self, scope: Scope) -> int:
        """The largest body that is taken from this request, in bytes. Of the scope it needs type, method,
        path, query_string, headers and client."""
        if self._is_app(scope):
            of_app = await self._of_app(scope)
            return ORDINARY if of_app is None else max(of_app, ORDINARY)
        path = scope["path"]
        if scope["method"] in {"PUT", "POST"} and (of_large_file := self._of_large_file(path)):
            return max(of_large_file, ORDINARY)
        large = {PREUPLOAD: PREUPLOAD_BYTES, FILES: self._files_bytes, DROPPED: self._files_bytes}
        most = next((size for pattern, size in large.items() if pattern.fullmatch(path)), ORDINARY)
        if scope["method"] != "POST" or most == ORDINARY:
            return ORDINARY
        may = _is_signed_in if DROPPED.fullmatch(path) else _may_write
        return most if await may(scope) else ORDINARY


async def _is_signed_in(scope: Scope) -> bool:
    cookies = SimpleCookie()
    with contextlib.suppress(CookieError):
        for name, value in scope["headers"]:
            if name.lower() == b"cookie":
                cookies.load(value.decode("latin-1"))
    key = cookies.get(settings.SESSION_COOKIE_NAME)
    session = SessionStore(key.value) if key else None
    return session is not None and await session.aget(SESSION_KEY) is not None


async def _may_write(scope: Scope) -> bool:
    given = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
    token = await database_sync_to_async(token_in)(given[0].decode("latin-1")) if len(given) == 1 else None
    return token is not None and token.scope == AccessToken.Scope.WRITE


def declared(headers: Any) -> int | None:
    """The declared length of the body, 0 for none; None where only its end will show it."""
    length = 0
    for name, value in headers:
        match name.lower():
            case b"transfer-encoding":
                return None
            case b"content-length" if value.isdigit():
                length = int(value)
    return length


def refusal(most: int, fault: str = "") -> Refusal:
    """The answer to a body that is too large, or, with a fault, that the disk has no room for."""
    text = fault or (
        f"This request is too large: at most {most:,} bytes are taken here. "
        "Upload files first, then refer to them. An app takes uploads from everybody who may use it, a "
        "repository from tokens with write access."
    )
    body = encode({"error": text, "detail": text})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-error-message", text.encode()),
    ]
    return 507 if fault else 413, headers, body


def bounded(app: App, limits: Limits) -> App:
    """The same application, sent no body that is too large."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        length = declared(scope["headers"]) if scope["type"] == "http" else 0
        most = await limits.most(scope) if length is not None and length > ORDINARY else ORDINARY
        if length is not None and length <= most:
            await app(scope, receive, send)
            return
        counted = _Counted(scope, receive, send, limits)
        if length is not None:
            await counted.refuse(most)
        else:
            await app(scope, counted.receive, counted.send)

    return application


class _Counted:
    """A request whose body has no declared length."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: Limits) -> None:
        self._scope, self._receive, self._send, self._limits = scope, receive, send, limits
        self._bytes = 0
        self._most = ORDINARY
        self._began = self._refused = False

    async def receive(self) -> Message:
        """What comes; the end of it, as if its sender had gone, once that is too much."""
        if self._refused:
            return {"type": "http.disconnect"}
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._most == ORDINARY:
            self._most = await self._limits.most(self._scope)
        if self._bytes > self._most:
            await self.refuse(self._most)
            return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        """What the application answers, unless it was refused before."""
        if not self._refused:
            self._began = True
            await self._send(message)

    async def refuse(self, most: int) -> None:
        """Take no more of it."""
        self._refused = True
        if self._began:
            return
        status, headers, body = refusal(most)
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})
