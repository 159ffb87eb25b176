"""Static Spaces: files straight from the repository, no container."""

from __future__ import annotations

import mimetypes

from asgiref.sync import sync_to_async

from queueing.routes import Route
from spaces import repository
from spaces.gateway.http import Send, respond


async def serve(send: Send, route: Route, path: str, method: str) -> None:
    """One file of the Space's head commit; a folder's `index.html`."""
    if method not in {"GET", "HEAD"}:
        await respond(send, 405, b"Only GET here.", "text/plain")
        return
    name = path.strip("/")
    if not name:
        name = route.app_file or "index.html"
    content = await sync_to_async(_read, thread_sensitive=False)(route, name)
    if content is None:
        await respond(send, 404, b"There is no such file.", "text/plain")
        return
    name, body = content
    guessed, encoding = mimetypes.guess_type(name)
    content_type = guessed or "application/octet-stream"
    if encoding:
        content_type = "application/octet-stream"
    if content_type.startswith("text/"):
        content_type += "; charset=utf-8"
    await respond(send, 200, b"" if method == "HEAD" else body, content_type)


def _read(route: Route, name: str) -> tuple[str, bytes] | None:
    for candidate in (name, f"{name}/index.html"):
        body = repository.read_blob(route.space_id, route.sha, candidate)
        if body is not None:
            return candidate, body
    return None
