"""Static Spaces: files straight from the repository, no container."""

from __future__ import annotations

import mimetypes

from asgiref.sync import sync_to_async

from queueing.routes import Route
from spaces.gateway.proxy.http import Send, respond
from spaces.git import repository
from spaces.git.objects import stream


async def send_file(send: Send, route: Route, path: str, method: str) -> None:
    """One file of the Space's head commit; a folder's `index.html`."""
    if method not in {"GET", "HEAD"}:
        await respond(send, 405, b"Only GET here.", "text/plain")
        return
    name = path.strip("/")
    if not name:
        name = route.app_file or "index.html"
    found = await sync_to_async(_find, thread_sensitive=False)(route, name)
    if found is None:
        await respond(send, 404, b"There is no such file.", "text/plain")
        return
    name = found.path
    guessed, encoding = mimetypes.guess_type(name)
    content_type = guessed or "application/octet-stream"
    if encoding:
        content_type = "application/octet-stream"
    if content_type.startswith("text/"):
        content_type += "; charset=utf-8"
    if method == "HEAD":
        await respond(send, 200, b"", content_type)
    elif found.size <= repository.READ_BYTES:
        body = await sync_to_async(repository.read_blob, thread_sensitive=False)(
            route.space_id, route.sha, name
        )
        await respond(send, 200, body or b"", content_type)
    else:
        await _streamed(send, route, found, content_type)


async def _streamed(send: Send, route: Route, file: repository.Entry, content_type: str) -> None:
    """A large file, as it is taken."""
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", b"%d" % file.size),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async for chunk in stream(repository.folder_of(route.space_id), file.oid, 0, file.size):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _find(route: Route, name: str) -> repository.Entry | None:
    for candidate in (name, f"{name}/index.html"):
        found = repository.find(route.space_id, route.sha, candidate) if route.sha else None
        if found is not None and found.is_file and not found.is_submodule:
            return found
    return None
