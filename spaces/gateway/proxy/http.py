"""One HTTP exchange with a container, streamed both ways."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any

from hardware.replica_client import ReplicaClient, ReplicaError
from spaces.gateway.proxy.door import Door
from spaces.gateway.proxy.headers import Headers, to_visitor

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

ASTRAY = re.compile(r"[\x00-\x1f\x7f\\]|/(?:\.\.?|__spaceport__)(?:/|\Z)")


#: An answer on its way has these bytes once, early: they are replaced.
Change = tuple[bytes, bytes]
CHANGES_WITHIN = 1024 * 1024
#: Headers that are no longer true of a changed answer.
OF_THE_WHOLE = {b"content-length", b"etag", b"accept-ranges", b"content-md5", b"digest"}


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


async def body_of(receive: Receive) -> AsyncIterator[bytes]:
    """The request's body as it comes.

    Raises:
        HungUp: the body so far must not be taken for the whole.
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
            raise TooLarge(
                f"An event may have at most {limit:,} bytes. Upload files first, then refer to them."
            )
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


def with_head(send: Send, change: Callable[[Headers], Headers]) -> Send:
    """Sends every answer with its headers changed."""

    def sends(message: MutableMapping[str, Any]) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            message["headers"] = change(list(message["headers"]))
        return send(message)

    return sends


def with_headers(send: Send, pairs: Iterable[tuple[str, str]]) -> Send:
    """Sends every answer with these headers, in place of the answer's own of the same names."""
    ours = {name.encode("latin-1"): value.encode("latin-1") for name, value in pairs}
    return with_head(
        send, lambda own: [*(pair for pair in own if pair[0].lower() not in ours), *ours.items()]
    )


async def see_other(send: Send, location: str, cookie: str = "") -> None:
    """Send a browser to another path, with a cookie of the gateway's own."""
    extra = [(b"location", location.encode("latin-1"))]
    if cookie:
        extra.append((b"set-cookie", cookie.encode()))
    await respond(send, 303, b"", "text/plain", tuple(extra))


async def stream(
    send: Send, receive: Receive, chunks: AsyncIterator[bytes], headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """Server-sent events until `chunks` ends or the visitor disconnects."""
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
    """Run `work`, cancelled when the visitor disconnects. An upload still under way is not read."""
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


async def changed(chunks: AsyncIterator[bytes], change: Change) -> AsyncIterator[bytes]:
    """The same chunks with one change, if the text to be replaced is there."""
    old, new = change
    buffered = bytearray()
    async for chunk in chunks:
        searched = max(0, len(buffered) - len(old))
        buffered += chunk
        if buffered.find(old, searched) >= 0 or len(buffered) > CHANGES_WITHIN:
            break
    yield bytes(buffered).replace(old, new, 1)
    async for chunk in chunks:
        yield chunk


def as_attachment(head: Headers) -> bytes | None:
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


class BrokenOff(Exception):
    """The container broke off in the middle of an answer; the visitor must not take it for a whole one."""


async def forward(
    client: ReplicaClient,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    address: str,
    target: str,
    headers: dict[str, str],
    door: Door,
    has_body: bool,
    changes: Sequence[Change] = (),
) -> None:
    """Send the request on and its answer back, byte for byte. To programs no page is ever sent, and files
    only as attachments: on the platform's own host a stranger's page would act as the visitor.

    Raises:
        Unreachable, BadAnswer: before anything was sent to the visitor, the container failed.
        BrokenOff: it failed later.
        HungUp
    """
    upload = Upload(receive) if has_body else None
    begun = False

    async def exchange() -> None:
        nonlocal begun
        sent = client.send(scope["method"], address, target, headers=headers, data=upload)
        async with sent as reply:
            begun = True
            head = to_visitor(reply.raw_headers, door)
            if door.program and (refusal := as_attachment(head)) is not None:
                await respond(send, 406, refusal, "application/json")
                return
            chunks = reply.chunks()
            if changes:
                head = [h for h in head if h[0] not in OF_THE_WHOLE]
            for change in changes:
                chunks = changed(chunks, change)
            await send({"type": "http.response.start", "status": reply.status, "headers": head})
            await _pump(send, chunks)

    try:
        await until_gone(receive, exchange(), upload)
    except ReplicaError:
        if upload is None or not upload.hung_up:
            raise
    if upload is not None and upload.hung_up and not begun:
        raise HungUp


async def _pump(send: Send, chunks: AsyncIterator[bytes]) -> None:
    try:
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except ReplicaError as error:
        raise BrokenOff(str(error)) from error
    await send({"type": "http.response.body", "body": b""})


async def pass_on(
    send: Send, receive: Receive, status: int, chunks: AsyncIterator[bytes], content_type: str
) -> None:
    """Stream a replica's answer to one of our own requests, or a copy of it, without the rest of its head.

    Raises:
        BrokenOff
    """
    head = [
        (b"content-type", content_type.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await until_gone(receive, _pump(send, chunks))
