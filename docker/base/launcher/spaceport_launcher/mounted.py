"""Gradio inside a server of the author's own: `gr.mount_gradio_app(app, demo, path="/demo")`, then
`uvicorn.run(app)`. Where it lies is reported, and what the launcher answers is answered at the root."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from spaceport_launcher import report, wire

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Options that let uvicorn start the app in other processes, where no hook would be.
ELSEWHERE = ("reload", "workers", "factory", "uds", "fd")


def front(app: Any, options: dict[str, Any]) -> Any:
    """What uvicorn is to serve instead of `app`; takes the options out that cannot hold for it."""
    wanted = {name: options.pop(name, None) for name in ELSEWHERE}
    if isinstance(app, str):
        from uvicorn.importer import import_from_string

        app = import_from_string(app)
    if wanted["factory"]:
        app = app()
    found = list(_places(app, ""))
    if not found:
        return app
    _tell_mcp(found, options["port"])
    report.mounts([path for path, _ in found], answers_root=_answers_root(app))
    first = found[0][1]
    direct = _plain(app)

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if path == report.ROUTE or (path == wire.PATH and direct):
            await first(scope, receive, send)
        elif path == wire.PATH:
            await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})
        else:
            await app(scope, receive, send)

    return serve


def _places(app: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every Gradio app in this one, and the path it lies at ("" for the root)."""
    gradio = getattr(sys.modules.get("gradio.routes"), "App", None)
    if gradio is None:
        return
    if isinstance(app, gradio):
        yield path, app
        return
    routes = getattr(app, "routes", None)
    if routes is None:  # a middleware around it
        inner = getattr(app, "app", None)
        if inner is not None:
            yield from _places(inner, path)
        return
    for route in routes:
        if type(route).__name__ == "Mount":
            yield from _places(getattr(route, "_base_app", route.app), path + route.path)


def _answers_root(app: Any) -> bool:
    """Whether the author's own server has something at "/"."""
    while not hasattr(app, "routes") and hasattr(app, "app"):
        app = app.app
    paths = [getattr(route, "path", "") for route in getattr(app, "routes", ())]
    return any(path in {"/", ""} or re.fullmatch(r"/\{\w+:path\}", path) for path in paths)


def _plain(app: Any) -> bool:
    """Whether nothing stands before the Gradio app that its functions could see the work of."""
    if not hasattr(app, "routes"):
        return False
    names = {getattr(m.cls, "__name__", "") for m in getattr(app, "user_middleware", ())}
    return names <= wire.OWN_MIDDLEWARE


def _tell_mcp(found: list[tuple[str, Any]], port: int) -> None:
    """Gradio's MCP server calls its own app at the address of whoever asks first, unless it knows one."""
    for path, app in found:
        server = getattr(app.get_blocks(), "mcp_server_obj", None)
        if server is not None and not server.local_url:
            server._local_url = f"http://127.0.0.1:{port}{path}/"
