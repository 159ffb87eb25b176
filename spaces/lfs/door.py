"""The addresses of `spaces.lfs.addresses`, beside Django: it would collect a body on disk before it comes to
us. ASGI."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import msgspec
from channels.db import database_sync_to_async

from infra.byte_ranges import byte_range
from infra.json_bodies import BadJson, parse
from spaces.gateway.proxy.http import Receive, Scope, Send, respond, until_gone
from spaces.lfs import addresses, holdings, sending, store
from spaces.lfs.addresses import Grant, NotGood
from spaces.lfs.multipart import IncomingPart, Upload, complete
from spaces.lfs.store import CHUNK, Incoming, Refused

JSON = "application/vnd.git-lfs+json"
BODY_BYTES = 1024 * 1024  # of a completion: a thousand parts with their tags


class Gone(Exception):
    """The client left in the middle."""


async def door(scope: Scope, receive: Receive, send: Send) -> None:
    """One request at a signed address."""
    async with refusing(send, 403):
        given = addresses.read(scope["path"])
        await _served(scope["method"], given, scope, receive, send)


@contextlib.asynccontextmanager
async def refusing(send: Send, not_good: int) -> AsyncIterator[None]:
    """Answer with the refusal that the block raises; a client that has gone gets none. `not_good` is the
    status where the address, or what was shown with it, is no good."""
    try:
        yield
    except NotGood as error:
        await respond_error(send, not_good, str(error))
    except Refused as error:
        await respond_error(send, error.status, str(error))
    except Gone:
        return


async def _served(method: str, given: Grant, scope: Scope, receive: Receive, send: Send) -> None:
    match method, given.kind:
        case "PUT", "put":
            await _take(given, receive)
            await respond(send, 200, b"", JSON, ((b"etag", f'"{given.oid}"'.encode()),))
        case "PUT", "part":
            tag = await _take_part(given, receive)
            await respond(send, 200, b"", JSON, ((b"etag", f'"{tag}"'.encode()),))
        case "HEAD", "part":
            await _respond_part(given, send)
        case "POST", "complete":
            await _complete(given, receive)
            await respond(send, 200, b"{}", JSON)
        case "POST", "verify":
            await _verify(given, receive, send)
        case (("GET" | "HEAD"), "get"):
            await until_gone(receive, _send_file(given, scope, send))
        case _:
            raise Refused(405, "This address is for something else.")


async def _take(given: Grant, receive: Receive) -> None:
    """The whole object, in one body."""
    incoming = await asyncio.to_thread(Incoming, given.space_id, given.oid, given.size)
    with incoming:
        async for piece in pieces(receive):
            await asyncio.to_thread(incoming.write, piece)
        await database_sync_to_async(holdings.keep)(given.space_id, incoming)


async def _take_part(given: Grant, receive: Receive) -> str:
    """One part; its tag."""
    incoming = await asyncio.to_thread(IncomingPart, Upload.of(given), given.part)
    with incoming:
        async for piece in pieces(receive):
            await asyncio.to_thread(incoming.write, piece)
        return await asyncio.to_thread(incoming.keep)


async def _respond_part(given: Grant, send: Send) -> None:
    """Whether a part is here, for a client that resumes an upload."""
    if not (tag := await asyncio.to_thread(Upload.of(given).tag_of, given.part)):
        raise Refused(404, "This part is not here.")
    await respond(send, 200, b"", JSON, ((b"etag", f'"{tag}"'.encode()),))


class _Part(msgspec.Struct):
    partNumber: int  # the wire's name
    etag: str


class _Completion(msgspec.Struct):
    parts: list[_Part]


async def _complete(given: Grant, receive: Receive) -> None:
    """All parts are here."""
    try:
        completion = parse(await body_of(receive), _Completion)
    except BadJson as error:
        raise Refused(400, f"The parts are not named as expected here: {error}") from error
    named = [(part.partNumber, part.etag) for part in completion.parts]
    await database_sync_to_async(complete)(Upload.of(given), named)


async def pieces(receive: Receive) -> AsyncIterator[bytes]:
    """A body, in pieces that are worth a thread's while.

    Raises:
        Gone
    """
    waiting = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        waiting += message.get("body", b"")
        more = message.get("more_body", False)
        if len(waiting) >= CHUNK or not more:
            yield bytes(waiting)
            waiting.clear()


async def body_of(receive: Receive) -> bytes:
    """A small body.

    Raises:
        Refused, Gone
    """
    body = b""
    async for piece in pieces(receive):
        body += piece
        if len(body) > BODY_BYTES:
            raise Refused(413, f"At most {BODY_BYTES:,} bytes here.")
    return body


async def _verify(given: Grant, receive: Receive, send: Send) -> None:
    await body_of(receive)  # it repeats what the address contains
    sizes = await database_sync_to_async(holdings.sizes)(given.space_id, [given.oid])
    if sizes.get(given.oid) != given.size:
        raise Refused(404, "The file did not arrive; send it again.")
    await respond(send, 200, b"{}", JSON)


async def _send_file(given: Grant, scope: Scope, send: Send) -> None:
    sizes = await database_sync_to_async(holdings.sizes)(given.space_id, [given.oid])
    if given.oid not in sizes:
        raise Refused(404, "This Space does not have this file any more.")
    size, status, start = sizes[given.oid], 200, 0
    headers = [
        (b"content-type", b"application/octet-stream"), (b"accept-ranges", b"bytes"),
        (b"etag", f'"{given.oid}"'.encode()), (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"private, no-store"),
    ]  # fmt: skip
    fields = dict(scope["headers"])
    requested = byte_range(fields.get(b"range", b"").decode("latin-1"), size)
    length = size
    if requested is not None and requested[0] > requested[1]:
        headers.append((b"content-range", b"bytes */%d" % size))
        status, length = 416, 0
    elif requested is not None:
        start, length, status = requested[0], requested[1] + 1 - requested[0], 206
        headers.append((b"content-range", b"bytes %d-%d/%d" % (start, requested[1], size)))
    headers.append((b"content-length", b"%d" % length))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if scope["method"] == "GET" and length:
        client = (scope.get("client") or [""])[0]
        chunks = sending.content(store.path_of(given.oid), start, length, client)
        await _send_all(chunks, send)
    await send({"type": "http.response.body", "body": b""})


async def _send_all(chunks: AsyncGenerator[bytes], send: Send) -> None:
    async with contextlib.aclosing(chunks):
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def respond_error(send: Send, status: int, text: str) -> None:
    """Answer with a refusal."""
    body: dict[str, Any] = {"message": text, "error": text}
    header = (b"x-error-message", text.encode("latin-1", "replace"))
    await respond(send, status, json.dumps(body).encode(), JSON, (header,))
