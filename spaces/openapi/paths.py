"""OpenAPI's `paths` of the Hub's routes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any

from django.urls import URLPattern

from spaces.openapi.bodies import BODIES, OTHER, QUERIES, Json, text

TAG = "The Hub's paths"
#: Only listed, without details: paths without an end, and paths that are no API.
LEFT_OUT = {"missing.nothing", "missing.no_other_kind", "oauth.activate", "batch.nothing", "git_http.serve"}
_CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")
_GROUP = re.compile(r"\(\?P<(\w+)>[^()]*\)")
ERROR: Json = {
    "description": "A refusal; the headers X-Error-Code and X-Error-Message say it too.",
    "content": {
        "application/json": {"schema": {"type": "object", "properties": {"error": {"type": "string"}}}}
    },
}


def paths(patterns: Iterable[object]) -> dict[str, Json]:
    """What each route answers to, by its path."""
    found: dict[str, Json] = {}
    for pattern in patterns:
        if isinstance(pattern, URLPattern) and (name := name_of(pattern.callback)) not in LEFT_OUT:
            path = _path(str(pattern.pattern))
            methods = getattr(pattern.callback, "methods", ("GET",) if "log_stream" in name else ("POST",))
            operations = {
                method.lower(): _operation(path, method, name, pattern.callback)
                for method in methods
                if method != "HEAD"
            }
            found.setdefault(path, {}).update(operations)
    return found


def name_of(view: Callable[..., Any]) -> str:
    """`module.view`."""
    return f"{view.__module__.rpartition('.')[2]}.{view.__name__}"


def _path(route: str) -> str:
    """`/api/spaces/{owner}/{name}` of Django's own way to write it."""
    plain = route.removeprefix("^").removesuffix("$")
    plain = plain.replace("(?:spaces/)?", "spaces/").replace(r"(?:\.git)?", ".git").replace("//?", "/")
    plain = _GROUP.sub(r"{\1}", plain).replace("[^/]+?", "").replace("\\", "")
    return "/" + _CONVERTER.sub(r"{\1}", plain)


def _operation(path: str, method: str, name: str, view: Callable[..., Any]) -> Json:
    names = re.findall(r"{(\w+)}", path)
    parameters = [{"name": n, "in": "path", "required": True, "schema": text()} for n in names]
    parameters += [{"name": n, "in": "query", "schema": text()} for n in QUERIES.get(name, ())]
    operation: Json = {
        "operationId": f"{name}.{method.lower()}:{path}",
        "summary": _summary(name, view),
        "tags": [TAG],
        "parameters": parameters,
        "responses": {"200": {"description": "Done, or found."}, "default": ERROR},
    }
    if method != "GET" and (kind := OTHER.get(name) or ("application/json" if name in BODIES else "")):
        schema = BODIES.get(name, {"type": "object"})
        operation["requestBody"] = {"content": {kind: {"schema": schema}}}
    return operation


def _summary(name: str, view: Callable[..., Any]) -> str:
    """The first sentence of the view's own words, or its name."""
    words = (inspect.getdoc(view) or name.rpartition(".")[2].replace("_", " ").capitalize()).split("\n\n")[0]
    return " ".join(words.split()).partition(". ")[0].rstrip(".")
