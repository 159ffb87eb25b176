"""What is served: the Gradio apps in an application, and the paths that are its author's own."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Servers and frameworks that may stand between a socket and an application without changing a request.
KNOWN = {"asyncio", "contextlib", "fastapi", "gradio", "gunicorn", "hypercorn", "spaceport_launcher"}
KNOWN |= {"starlette", "uvicorn", "uvloop"}
#: Middleware that Gradio itself adds and that no function can see the work of.
OWN_MIDDLEWARE = {"CustomCORSMiddleware", "BrotliMiddleware"}
#: Attribute of a Gradio app that is its author's server too: the routes it had before Gradio's.
OWN = "_spaceport_own"
MAX_OWN = 500  # paths of the author's that are reported


@dataclass(frozen=True)
class Mount:
    """A Gradio app in a server: its path ("" for the root), and whether nothing in front of it does work that
    its functions could see."""

    path: str
    app: Any
    is_plain: bool


def has_gradio(app: Any) -> bool:
    """Whether a Gradio app is, or lies in, this one."""
    return next(of(app), None) is not None


def of(app: Any, path: str = "", *, is_plain: bool = True) -> Iterator[Mount]:
    """Every Gradio app in this one, in the order its routes find them."""
    gradio = getattr(sys.modules.get("gradio.routes"), "App", None)
    if gradio is None:
        return
    if isinstance(app, gradio) and app.blocks is not None:
        yield Mount(path.rstrip("/"), app, is_plain)
    routes = getattr(app, "routes", None)
    if routes is None:  # a middleware around it
        inner = getattr(app, "app", None)
        if inner is not None:
            yield from of(inner, path, is_plain=is_plain and is_known(type(app).__module__))
        return
    names = {getattr(m.cls, "__name__", "") for m in getattr(app, "user_middleware", ())}
    for route in _each(routes):
        if type(route).__name__ == "Mount":
            inner = getattr(route, "_base_app", route.app)
            plain = is_plain and names <= OWN_MIDDLEWARE and inner is route.app
            yield from of(inner, path + route.path, is_plain=plain)


def own_paths(app: Any, path: str = "") -> list[str]:
    """The author's own paths in front of a Gradio app that answers all others, as
    "METHOD /path/{part}/{rest:path}"; "*" is any method."""
    gradio = getattr(sys.modules.get("gradio.routes"), "App", ())
    app = _within(app)
    own: list[str] = []
    within: list[str] = []
    for route in _each(getattr(app, OWN, ()) if isinstance(app, gradio) else getattr(app, "routes", ())):
        place = path + getattr(route, "path", "")
        if type(route).__name__ != "Mount":
            own += [f"{method} {place}" for method in getattr(route, "methods", None) or ("*",)]
        elif not has_gradio(inner := getattr(route, "_base_app", route.app)):
            own.append(f"* {place}/{{rest:path}}")
        elif route.path:
            within += own_paths(inner, place)
        else:
            return [*own, *own_paths(inner, path)][:MAX_OWN]
    return (own if isinstance(app, gradio) else within)[:MAX_OWN]


def answers_root(app: Any) -> bool:
    """Whether the author's own server has something at "/"."""
    paths = [getattr(route, "path", "") for route in _each(getattr(_within(app), "routes", ()))]
    return any(path in {"/", ""} or re.fullmatch(r"/\{\w+:path\}", path) for path in paths)


def is_known(module: str) -> bool:
    """Whether this module is a part of a server or framework."""
    return module.partition(".")[0] in KNOWN


def _within(app: Any) -> Any:
    """The application that middleware stands around."""
    while not hasattr(app, "routes") and hasattr(app, "app"):
        app = app.app
    return app


def _each(routes: Iterable[Any]) -> Iterator[Any]:
    """These routes, and those of the routers that newer releases of FastAPI keep whole among them."""
    for route in routes:
        if hasattr(route, "effective_route_contexts"):
            yield from (one.starlette_route or one for one in route.effective_route_contexts())
        else:
            yield route
