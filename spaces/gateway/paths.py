"""Which of a Gradio app's paths run something, however they are spelled: pure functions.

A request is matched strictly to be served, and loosely to be refused: what only resembles a path that
runs a function gets 404, and the container never sees it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from msgspec import structs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queueing.routes import App, Route

PREFIX = "/gradio_api"
#: Below these a path names a file, which may be called anything.
_FILES = re.compile(r"/(file|proxy)=|/(file|static|assets|svelte|custom_component)/")
_RUNS = re.compile(
    r"/(queue/(join|data|push)|(run|api|call)/.+|cancel|reset|stream/[^/]+(/close)?|(mcp|mcp_sse)(/.*)?)"
)
_MCP = re.compile(r"/mcp(/.*)?")
_PART = re.compile(r"\{\w+(?::(\w+))?\}")
#: Only the gateway makes such paths, and it has taken the token out before.
_OURS = "/_ui/"
_REST = re.compile(r"[;?#\0].*", re.DOTALL)


def inner(path: str, app: App) -> str | None:
    """The path as the Gradio app routes it, without the place it is mounted at and its API prefix; None
    outside of that place."""
    if app.mount:
        if path != app.mount and not path.startswith(f"{app.mount}/"):
            return None
        path = path.removeprefix(app.mount) or "/"
    return path.removeprefix(PREFIX) or "/"


def runs(path: str, app: App) -> bool:
    """Whether this path, parsed as leniently as any server might, runs a function or listens to one."""
    loose = loosely(path)
    if loose.startswith(_OURS):
        return True
    return any(_runs_at(one.mount, loose) for one in (app, *app.mounted))


def runs_somewhere(path: str) -> bool:
    """Whether this path runs a function of a Gradio app that nobody knows of, wherever it lies."""
    _, prefix, rest = loosely(path).partition(f"{PREFIX}/")
    return bool(prefix) and _runs_at("", f"{PREFIX}/{rest}")


def of_another(path: str, app: App) -> bool:
    """Whether this path belongs to a Gradio app beside the one that queues."""
    loose = loosely(path)
    mounts = [loosely(mount) for mount in (*app.others, *(one.mount for one in app.mounted))]
    return any(loose == mount or loose.startswith(f"{mount}/") for mount in mounts)


def mount_of(path: str, app: App) -> str:
    """Where the Gradio app lies that this path belongs to; where it is none of theirs, the first one."""
    mounts = sorted((one.mount for one in (app, *app.mounted)), key=len, reverse=True)
    return next((m for m in mounts if not m or path == m or path.startswith(f"{m}/")), app.mount)


def routed(route: Route, path: str) -> Route:
    """The route as seen from that app, the one that this path belongs to, with the others beside it."""
    mount = mount_of(path, route.app)
    return route if mount == route.app.mount else structs.replace(route, app=route.app.at(mount))


def in_container(app: App, path: str, inner: str | None) -> str:
    """The path as the container knows it: Gradio before 5 has no API prefix, newer clients use it."""
    if app.protocol and inner is not None and not app.prefix.endswith(PREFIX):
        return f"{app.mount}{inner}"
    return path


def is_own(method: str, path: str, app: App) -> bool:
    """Whether the author's own server answers this, before any Gradio app in it."""
    for known in app.own:
        methods, _, template = known.partition(" ")
        if methods in ("*", method) and _fits(path, template):
            return True
    return False


def _fits(path: str, template: str) -> bool:
    """Whether a path is one of a template's: `{name}` is a part of it, `{name:path}` all the rest."""
    parts, wanted = path.split("/"), template.split("/")
    for index, want in enumerate(wanted):
        if (found := _PART.fullmatch(want)) and found[1] == "path":
            return len(parts) > index
        if index >= len(parts) or not (parts[index] == want or (found and parts[index])):
            return False
    return len(parts) == len(wanted)


def runs_in_another(path: str, app: App) -> bool:
    """Whether this path runs a function of a Gradio app beside the one that queues."""
    return any(_runs_at(mount, loosely(path)) for mount in app.others)


def _runs_at(mount: str, loose: str) -> bool:
    mount = loosely(mount) if mount else ""
    if mount and loose != mount and not loose.startswith(f"{mount}/"):
        return False
    loose = loose.removeprefix(mount)
    while loose.startswith(f"{PREFIX}/"):
        loose = loose.removeprefix(PREFIX)
    return not _FILES.match(loose) and _RUNS.fullmatch(loose) is not None


def is_mcp(path: str) -> bool:
    """Whether an `inner` path is the app's MCP server."""
    return _MCP.fullmatch(path) is not None


def queued(path: str, paths: Sequence[str]) -> int | None:
    """Which of a Docker Space's queued paths this is, exactly as it is written: the index; `/a/*` is `/a` and
    all that is below it."""
    for index, known in enumerate(paths):
        top = known.removesuffix("/*")
        if path in (known, top) or (top != known and path.startswith(f"{top}/")):
            return index
    return None


def resembles(path: str, paths: Sequence[str]) -> bool:
    """Whether some server might take this path for a queued one."""
    loose = loosely(path)
    for known in paths:
        top = loosely(known.removesuffix("/*"))
        if loose == top or (known.endswith("/*") and loose.startswith(f"{top.rstrip('/')}/")):
            return True
    return False


def loosely(path: str) -> str:
    """One spelling for all that some server might take for the same path: fully decoded, without doubled or
    trailing slashes, parameters, or anything like a query, in lower case."""
    for _ in range(5):
        if (decoded := unquote(path)) == path:
            break
        path = decoded
    segments = [_REST.sub("", segment).strip().rstrip(".") for segment in path.replace("\\", "/").split("/")]
    return "/" + "/".join(segment for segment in segments if segment).casefold()
