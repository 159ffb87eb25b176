"""Whoever serves Gradio, the platform finds the same.

A Gradio app may be served by Gradio, uvicorn, hypercorn or gunicorn, on its own or inside servers of its
author's, once or several times, in this process or in one that the app has started. So nothing is done to
servers here, but to the application that they call. The outermost one answers the launcher's own paths: the
report, the platform's calls, and questions about functions that were made later.

And each Gradio app lets visitors run functions through the platform's queue only: the gateway marks what it
passes on for them (MARK), and their requests to run one are refused right in front of the routes, in whatever
spelling, below whatever path and behind whatever middleware they arrive. What the platform and the
app itself ask for is not marked.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import sys
from typing import Any
from urllib.parse import parse_qsl

from spaceport_launcher import mounts, reloading, report, wire

MARK = b"x-spaceport-visitor"
#: Where a request keeps what is known of it; whoever puts it there has seen the request first.
NOTE = "spaceport"
OURS = "/__spaceport__/"
#: Attribute of a router that is a Gradio app's.
GRADIOS = "_spaceport_gradios"
REFUSAL = (
    "Functions run through this Space's queue only, and the platform finds no Gradio app at this path of it."
)

_POSTED = re.compile(r"/(queue/join|cancel|reset|(run|api|call)/.+|stream/[^/]+(/close)?|mcp(/.*)?)/?")
_STREAMS = re.compile(r"/(queue/data|call/.+/[^/]+)/?")
_STREAMED = re.compile(r"/queue/join/?")

_called = False
_reported: set[str] = set()


def was_called() -> bool:
    """Whether some server has called an application of this process."""
    return _called


def patch_applications(module: Any) -> None:
    """The outermost application of a server answers for the launcher."""
    original = module.Starlette.__call__

    @functools.wraps(original)
    async def call(self: Any, scope: Any, receive: Any, send: Any) -> None:
        global _called
        _called = True
        if scope["type"] in ("http", "websocket") and NOTE not in scope:
            _note(scope)
            if await _answered(self, scope, receive, send):
                return
        await original(self, scope, receive, send)

    module.Starlette.__call__ = call


def patch_routing(module: Any) -> None:
    """Nothing but the platform runs functions of a Gradio app."""
    original = module.Router.__call__

    @functools.wraps(original)
    async def call(self: Any, scope: Any, receive: Any, send: Any) -> None:
        if scope.get(NOTE) == "visitor" and _runs(scope, in_gradio=getattr(self, GRADIOS, False)):
            await _refuse(scope, receive, send)
        else:
            await original(self, scope, receive, send)

    module.Router.__call__ = call


def guard(app: Any) -> None:
    """Let visitors run functions of this Gradio app through the platform only."""
    setattr(app.router, GRADIOS, True)


# --- a request ------------------------------------------------------------------------------------------


def _note(scope: Any) -> None:
    """Take the gateway's mark off before anybody sees it."""
    kept = [header for header in scope["headers"] if header[0].lower() != MARK]
    scope[NOTE] = "visitor" if len(kept) < len(scope["headers"]) else "platform"
    scope["headers"] = kept
    root = scope.get("root_path", "")
    if root and not scope["path"].startswith(root):
        # The author's setting for a proxy of theirs. Below the platform's address there is none.
        scope["root_path"] = ""


async def _answered(app: Any, scope: Any, receive: Any, send: Any) -> bool:
    """Whether the request was one of the platform's own."""
    if scope["type"] != "http" or scope[NOTE] != "platform":
        return False
    path = _route_path(scope)
    if not path.startswith(OURS):
        return False
    found = list(mounts.of(app))
    if path == wire.PATH and scope["method"] == "POST":
        plain = {} if _is_around() else {one.path: one.app for one in found if one.is_plain}
        await wire.serve(plain, found[0].path if found else "", receive, send)
    elif path == report.ROUTE:
        _set_mcp_address(found, scope)
        apps = {one.path: one.app.get_blocks() for one in found}
        started = all(getattr(one.app, "startup_events_triggered", True) for one in found)
        own = mounts.own_paths(app)
        gate = (
            bool(found) and not _is_around() and all(one.is_plain and wire.usable(one.app) for one in found)
        )
        root = mounts.answers_root(app)
        description = report.of(apps, root=root, own=own, started=started, gate=gate)
        await _respond(send, 200, description)
    elif path == report.MADE_ROUTE:
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        await _respond(send, 200, report.made_later({one.path: one.app for one in found}, query))
    elif path == reloading.ROUTE and scope["method"] == "POST":
        blocks = [] if _is_around() else [one.app.get_blocks() for one in found]
        await _respond(send, 200, await reloading.serve(blocks, receive))
    else:
        return False
    return True


def _route_path(scope: Any) -> str:
    """The path as the routes of the application at hand see it."""
    try:
        from starlette._utils import get_route_path
    except ImportError:  # older releases take the place of a mounted app off the path itself
        return str(scope["path"])
    return get_route_path(scope)


def _runs(scope: Any, *, in_gradio: bool) -> bool:
    """Whether this request runs a function or listens to one. Since Gradio 5 such paths are known by their
    prefix, whoever's routes they are among; before, in a Gradio app's own only."""
    prefix = str(getattr(sys.modules.get("gradio.route_utils"), "API_PREFIX", ""))
    path = _route_path(scope)
    if prefix:
        _, found, rest = path.partition(f"{prefix}/")
        path = f"/{rest}" if found else ""
    elif not in_gradio:
        return False
    if scope["type"] == "websocket":
        return _STREAMED.fullmatch(path) is not None
    if scope["method"] in ("GET", "HEAD"):
        return _STREAMS.fullmatch(path) is not None
    return scope["method"] != "OPTIONS" and _POSTED.fullmatch(path) is not None


async def _refuse(scope: Any, receive: Any, send: Any) -> None:
    where = f"{scope.get('root_path', '')}/"
    if where not in _reported:
        _reported.add(where)
        sys.stderr.write(
            f"Spaceport: a request to {scope['path']!r} was refused. {REFUSAL} Mount the app with "
            "gr.mount_gradio_app, and let the outermost application be FastAPI's or Starlette's.\n"
        )
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4404})
    else:
        await _respond(send, 404, {"detail": REFUSAL, "error": REFUSAL})


async def _respond(send: Any, status: int, value: Any) -> None:
    body = json.dumps(value).encode()
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


def _is_around() -> bool:
    """Whether something unknown has been called on the way to the application: its callers stand on the stack
    above."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_flags & inspect.CO_COROUTINE == 0:
        frame = frame.f_back  # out of this function
    while frame is not None and frame.f_code.co_flags & inspect.CO_COROUTINE:
        if not mounts.is_known(frame.f_globals.get("__name__", "")):
            return True
        frame = frame.f_back
    return False


def _set_mcp_address(found: list[mounts.Mount], scope: Any) -> None:
    """Set the address at which Gradio's MCP server calls its own app: else it takes that of the first
    request."""
    port = (scope.get("server") or ("", 0))[1]
    for one in found:
        server = getattr(one.app.get_blocks(), "mcp_server_obj", None)
        if server is not None and not server.local_url and port:
            server._local_url = f"http://127.0.0.1:{port}{one.path}/"
