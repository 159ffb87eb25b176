"""One HTTP exchange with a container, streamed both ways."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from spaces.gateway.headers import to_visitor

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CONNECT_S = 10.0
ASTRAY = re.compile(r"[\x00-\x1f\x7f\\]|/(?:\.\.?|__spaceport__)(?:/|\Z)")


class BadPath(ValueError):
    """A path no honest client sends."""


class TooLarge(ValueError):
    """A body over the limit."""


class HungUp(Exception):
    """The visitor left in the middle of the request. (Daphne shows us no request before it is whole.)"""


def checked(path: str) -> str:
    """A decoded path that is safe to send to a container.

    Raises:
        BadPath: traversal, control characters, backslashes, the launcher's own routes.
    """
    if not path.startswith("/") or ASTRAY.search(path):
        raise BadPath
    return path


def target_of(path: str, query: bytes) -> str:
    """A decoded path and its query as they are sent; exactly what was matched is what is sent."""
    text = quote(path, safe="/=:@!$&()*+,;~")
    return f"{text}?{query.decode('latin-1')}" if query else text


def url_of(address: str, path: str, query: bytes) -> URL:
    """The container's URL for a decoded path."""
    return URL(f"http://{address}{target_of(path, query)}", encoded=True)


async def body_of(receive: Receive) -> AsyncIterator[bytes]:
    """The request's body as it comes.

    Raises:
        HungUp: what came so far must not be taken for all of it.
    """
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HungUp
        if chunk := message.get("body"):
            yield chunk
        if not message.get("more_body"):
            return


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body.

    Raises:
        TooLarge: past `limit` bytes.
        HungUp
    """
    body = bytearray()
    async for chunk in body_of(receive):
        body += chunk
        if len(body) > limit:
            raise TooLarge
    return bytes(body)


class Upload:
    """A request's body on its way to a container."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.over = asyncio.Event()  # nothing more is taken of it
        self.hung_up = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in body_of(self._receive):
                yield chunk
        except HungUp:
            self.hung_up = True
            raise
        finally:
            self.over.set()


async def respond(
    send: Send, status: int, body: bytes, content_type: str, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """A whole answer of our own."""
    head = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def redirect(send: Send, location: str) -> None:
    """Send the visitor to another path, with the same method."""
    await respond(send, 307, b"", "text/plain", ((b"location", location.encode("latin-1")),))


async def stream(
    send: Send, receive: Receive, chunks: AsyncIterator[bytes], headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """Server-sent events until `chunks` ends or the visitor hangs up."""
    head = [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),
        *headers,
    ]
    await send({"type": "http.response.start", "status": 200, "headers": head})

    async def pump() -> None:
        async with contextlib.aclosing(chunks):  # type: ignore[type-var]  # which its type need not have
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    await until_gone(receive, pump())


async def until_gone(receive: Receive, work: Any, upload: Upload | None = None) -> None:
    """Run `work`, cancelled when the visitor hangs up. What is still uploaded then is not taken from it."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(receive, upload))
    try:
        await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
    finally:
        for t in (task, gone):
            t.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnected(receive: Receive, upload: Upload | None) -> None:
    if upload is not None:
        await upload.over.wait()
        if upload.hung_up:
            return
    while (await receive())["type"] != "http.disconnect":
        pass


def as_attachment(head: list[tuple[bytes, bytes]]) -> bytes | None:
    """Change the headers of an answer for a program so that no browser shows it; for a page, which is not
    sent at all, the text of its refusal."""
    content_type = next((value.decode("latin-1") for name, value in head if name == b"content-type"), "")
    if content_type.startswith(("text/html", "application/xhtml")):
        return b'{"error":"Pages are served on the demo\'s own host, not here."}'
    head[:] = [h for h in head if h[0] != b"content-disposition"]
    head.append((b"content-security-policy", b"sandbox; default-src 'none'"))
    if not content_type.startswith(("application/json", "text/event-stream")):
        head.append((b"content-disposition", b"attachment"))
    return None


async def forward(
    http: aiohttp.ClientSession,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    url: URL,
    headers: dict[str, str],
    cookies: bool,
    program: bool,
    has_body: bool,
) -> None:
    """Send the request on and its answer back, byte for byte. To programs no page is ever sent, and files
    only as attachments: on the platform's own host a stranger's page would act as the visitor.

    Raises:
        aiohttp.ClientError, OSError: before anything was sent to the visitor, the container failed.
        HungUp
    """
    upload = Upload(receive) if has_body else None
    try:
        await _exchange(http, scope, receive, send, upload, url, headers, cookies=cookies, program=program)
    except aiohttp.ClientError:
        if upload is not None and upload.hung_up:
            raise HungUp from None
        raise


async def _exchange(
    http: aiohttp.ClientSession,
    scope: Scope,
    receive: Receive,
    send: Send,
    upload: Upload | None,
    url: URL,
    headers: dict[str, str],
    *,
    cookies: bool,
    program: bool,
) -> None:
    timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_S)
    async with http.request(
        scope["method"],
        url,
        headers=headers,
        data=upload,
        allow_redirects=False,
        timeout=timeout,
    ) as answer:
        head = to_visitor(answer.raw_headers, cookies=cookies)
        if program and (refusal := as_attachment(head)) is not None:
            await respond(send, 406, refusal, "application/json")
            return
        await send({"type": "http.response.start", "status": answer.status, "headers": head})

        async def pump() -> None:
            async for chunk in answer.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        await until_gone(receive, pump(), upload)
