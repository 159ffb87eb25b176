"""The settings in the app's code: the first values of the Space's settings.

One JSON object, served at `/__spaceport__/report`:
`gradio` (version), `queue` (the arguments given to `queue()`, of the four the platform knows),
`max_threads` (given to `launch()`, or null), `mounts` (where Gradio apps lie in the server, "" for its root),
`root` (whether that server answers "/" itself), `own` (the author's own paths: `mounts`), `guards` (true: no
one but the platform runs functions, and its calls may name a mount), `started` (whether Gradio has done its
start-up work, which it begins when its server answers already), `functions` of the first app (id, api_name,
batch, max_batch_size, queue, concurrency_limit: a number, null for unlimited, or "default", group: `groups`,
"" for none, tool: what the MCP server calls it), `further`: those of the other apps by their mount, and
`gate` (1: calls beyond a group's limit wait here).
"""

from __future__ import annotations

import os
import sys
from typing import Any

from spaceport_launcher import groups

#: The default for a call of `queue()` that sets none; the platform sets the variable that Gradio reads.
DEFAULT_LIMIT = "SPACEPORT_DEFAULT_CONCURRENCY_LIMIT"
#: Attribute that keeps a function's own max_batch_size; the report may be made more than once.
AUTHORS = "_spaceport_max_batch_size"
ROUTE = "/__spaceport__/report"
#: What a session knows of a function that `/config` does not name: made by `gr.render`, or after the start.
MADE_ROUTE = "/__spaceport__/function"
QUEUE_ARGUMENTS = ("concurrency_count", "max_size", "api_open", "default_concurrency_limit")

_report: dict[str, Any] = {"gradio": "", "queue": {}, "max_threads": None}
#: id of a Blocks -> its functions as their author made them.
_functions: dict[int, list[dict[str, Any]]] = {}


_launches = False


def launches() -> None:
    """Note that `launch()` serves the app."""
    global _launches
    _launches = True


def queue_arguments(given: dict[str, Any]) -> None:
    """Note the arguments of a `queue()` call; Gradio's own call without any changes nothing."""
    for name in QUEUE_ARGUMENTS:
        value = given.get(name, _report)
        if value is None or isinstance(value, bool | int):
            _report["queue"][name] = value


def max_threads(value: Any) -> None:
    """Note the author's `launch(max_threads=...)`."""
    _report["max_threads"] = value if isinstance(value, int) else None


def block_functions(blocks: Any) -> list[Any]:
    """The Blocks' functions: a dict by id from late 4.x on, a list before."""
    found = getattr(blocks, "fns", None) or []
    return list(found.values() if isinstance(found, dict) else found)


def functions(blocks: Any) -> None:
    """Note every function and its limits; call before they are changed."""
    _report["gradio"] = getattr(sys.modules.get("gradio"), "__version__", "")
    dependencies = getattr(blocks, "dependencies", None)  # older 4.x keeps the names there
    noted = []
    names = groups.Groups(block_functions(blocks), dependencies).names
    for index, function in enumerate(block_functions(blocks)):
        named = dependencies[index] if isinstance(dependencies, list) and index < len(dependencies) else {}
        noted.append(
            {
                "id": getattr(function, "_id", index),
                "api_name": getattr(function, "api_name", named.get("api_name")),
                "batch": bool(getattr(function, "batch", named.get("batch", False))),
                "max_batch_size": getattr(function, AUTHORS, None)
                or getattr(function, "max_batch_size", named.get("max_batch_size", 4)),
                "queue": getattr(function, "queue", named.get("queue", True)) is not False,
                "concurrency_limit": groups.own_limit(function),
                **({"group": names[index]} if hasattr(function, "concurrency_id") else {}),
            }
        )
    _functions[id(blocks)] = noted


def of(
    apps: dict[str, Any], *, root: bool, own: list[str], started: bool, gate: bool = False
) -> dict[str, Any]:
    """The report about the apps (Blocks) that are served at these paths; the first is the Space's own.
    `started`: whether the start-up work of `launch()` is done. In a server of the author's own that is before
    the server answers. `gate`: whether calls of all of them come by the platform's own way."""
    first = next(iter(apps), "")
    functions = {path: _reported(blocks, "" if path == first else path) for path, blocks in apps.items()}
    return {
        **_report,
        "queue": {**_default_limit(), **_report["queue"]},
        "guards": True,
        "started": started or not _launches,
        "mounts": list(apps),
        "root": root,
        "own": own,
        "functions": functions.pop(first, []),
        "further": functions,
        "gate": int(gate),
    }


def _reported(blocks: Any, beside: str) -> list[dict[str, Any]]:
    """An app's functions. `beside`: its mount, where the Space has another one before it."""
    tools = getattr(getattr(blocks, "mcp_server_obj", None), "tool_to_endpoint", None) or {}
    names = {str(endpoint).lstrip("/"): tool for tool, endpoint in tools.items()}
    functions = []
    for one in _functions.get(id(blocks), []):
        group = {"group": groups.below(beside, one["group"])} if "group" in one else {}
        functions.append({**one, **group, "tool": names.get(one["api_name"], "")})
    return functions


def _default_limit() -> dict[str, int | None]:
    """The limit in the author's environment, where the code sets none."""
    given = os.environ.get(DEFAULT_LIMIT, "").lower()
    if not given.isdigit() and given != "none":
        return {}
    return {"default_concurrency_limit": int(given) if given.isdigit() else None}


def made_later(apps: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
    """A session's own function, described as in `/config`; empty where it has no such one.

    Args:
        apps: the Gradio apps by the path they lie at.
        query: `mount`, `session` (its hash), and `fn` (an id) or `name` (an API name).
    """
    mount = query.get("mount", "")
    if (app := apps.get(mount)) is None:
        return {}
    sessions = getattr(getattr(app, "state_holder", None), "session_data", {})
    config = getattr(sessions.get(query.get("session", "")), "blocks_config", None)
    for found in block_functions(config or app.get_blocks()):
        number, name = getattr(found, "_id", None), getattr(found, "api_name", None)
        if number is None or (str(number) != query["fn"] if "fn" in query else name != query.get("name")):
            continue
        return {
            "id": number,
            "api_name": name,
            "queue": found.queue,
            "batch": found.batch,
            "max_batch_size": found.max_batch_size,
            "types": {"generator": bool(found.types_generator)},
            "connection": getattr(found, "connection", "sse"),
            "cancels": list(getattr(found, "cancels", None) or ()),
            "group": _group(apps, mount, found),
        }
    return {}


def _group(apps: dict[str, Any], mount: str, function: Any) -> str:
    """The group of a function that its app knew when it started; else one that begins with "~"."""
    if not hasattr(function, "concurrency_id"):
        return ""
    known = groups.Groups(block_functions(apps[mount].get_blocks()))
    return groups.below("" if mount == next(iter(apps)) else mount, known.name(function))
