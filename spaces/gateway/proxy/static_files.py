"""Static Spaces: files straight from the repository, no container."""

from __future__ import annotations

import contextlib
import mimetypes
import posixpath
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from urllib.parse import quote

from asgiref.sync import sync_to_async
from django.utils.http import parse_etags

from infra.byte_ranges import byte_range
from queueing.routes import Route
from spaces.gateway.proxy import headers as head
from spaces.gateway.proxy.http import Receive, Scope, Send, respond, until_gone
from spaces.git import repository
from spaces.git.objects import BrokenOff
from spaces.lfs import files

#: Larger ones are streamed: a visitor may take any time, and memory is shared by all.
READ_BYTES = 1024 * 1024
#: Types that Python's own table lacks on some machines, or has otherwise than browsers.
TYPES = {
    ".mjs": "text/javascript",
    ".ts": "video/mp2t",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
NOT_FOUND = "404.html"
INDEX = "index.html"


@dataclass(frozen=True)
class _Found:
    """A file to send."""

    file: repository.Entry
    status: int = 200  # 404: it is the Space's own page about what is not there
    is_folder: bool = False  # whether it is the index of the requested folder


async def send_file(route: Route, path: str, client: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a file of the Space's head commit; for a folder its `index.html`, for nothing its `404.html`.
    `client`: the visitor's address."""
    if scope["method"] not in {"GET", "HEAD"}:
        await respond(send, 405, b"Only GET here.", "text/plain", ((b"allow", b"GET, HEAD"),))
        return
    found = await sync_to_async(_find, thread_sensitive=False)(route, path)
    if found is None:
        await respond(send, 404, b"There is no such file.", "text/plain")
    elif found.is_folder and not path.endswith("/"):
        where = f"./{quote(posixpath.basename(path))}/"  # so that the page's relative links work
        query = scope["query_string"].decode("latin-1")
        await _answer(send, 302, [(b"location", f"{where}?{query}".rstrip("?").encode("latin-1"))])
    else:
        await until_gone(receive, _send(send, route, client, found, scope))


def _find(route: Route, path: str) -> _Found | None:
    """The file at this path: below the folder of `app_file`, or else below the top of the repository."""
    top, name = posixpath.dirname(route.app_file), path.strip("/")
    wanted: dict[str, tuple[int, bool]] = {}  # by path, the first that is there counts: status, is_folder
    if not name:
        wanted[route.app_file or INDEX] = (200, False)
    for place in (posixpath.join(top, name), name) if name else ():
        if not path.endswith("/"):
            wanted.setdefault(place, (200, False))
        wanted.setdefault(f"{place}/{INDEX}", (200, True))
    for place in (posixpath.join(top, NOT_FOUND), NOT_FOUND):
        wanted.setdefault(place, (404, False))
    there = files.find_all(route.space_id, route.sha, wanted) if route.sha else []
    for file in there:
        if file.is_file and not file.is_submodule:
            status, is_folder = wanted[file.path]
            return _Found(file, status=status, is_folder=is_folder)
    return None


async def _send(send: Send, route: Route, client: str, found: _Found, scope: Scope) -> None:
    file = found.file
    etag = f'"{file.pointer.oid if file.pointer else file.oid}"'
    is_head = scope["method"] == "HEAD"
    fields: head.Headers = [
        (b"content-type", _content_type(file.path).encode()),
        (b"etag", etag.encode()),
    ]
    known = head.first(scope["headers"], "if-none-match")
    if found.status == 200 and (known.strip() == "*" or etag in parse_etags(known)):
        await _answer(send, 304, fields)
        return
    start, size, status = 0, file.size, found.status
    takes_ranges = found.status == 200 and not is_head
    if takes_ranges and head.first(scope["headers"], "if-range") in ("", etag):
        requested = byte_range(head.first(scope["headers"], "range"), size)
        if requested is not None and requested[0] >= size:
            await _answer(send, 416, [(b"content-range", b"bytes */%d" % size)])
            return
        if requested is not None and requested[0] <= requested[1] and requested != (0, size - 1):
            start, last = requested
            fields.append((b"content-range", b"bytes %d-%d/%d" % (start, last, size)))
            size, status = last + 1 - start, 206
    fields += [(b"accept-ranges", b"bytes"), (b"content-length", b"%d" % size)]
    body = None if is_head else _content(route, client, file, start, size)
    await _answer(send, status, fields, body)


async def _content(
    route: Route, client: str, file: repository.Entry, start: int, size: int
) -> AsyncGenerator[bytes]:
    if file.size <= READ_BYTES:
        read = sync_to_async(files.read, thread_sensitive=False)
        content = await read(route.space_id, route.sha, file)
        if content is None:
            raise BrokenOff(f"{file.path} is not there any more.")
        yield content[start : start + size]
        return
    async with contextlib.aclosing(files.stream(route.space_id, file, start, size, client)) as chunks:
        async for chunk in chunks:
            yield chunk


def _content_type(name: str) -> str:
    guessed, encoding = mimetypes.guess_type(name)
    guessed = TYPES.get(posixpath.splitext(name)[1].lower(), guessed)
    if encoding or guessed is None:
        return "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed


async def _answer(
    send: Send, status: int, fields: head.Headers, body: AsyncGenerator[bytes] | None = None
) -> None:
    """A browser revalidates its copy each time: its visitor may have lost the right to it."""
    ours = [(b"cache-control", b"private, no-cache"), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": status, "headers": [*fields, *ours]})
    if body is not None:
        async with contextlib.aclosing(body) as chunks:
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
