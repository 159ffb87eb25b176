"""What the app's author asked for: the first values of the Space's settings.

One JSON object, served at `/__spaceport__/report`:
`gradio` (version), `queue` (the arguments given to `queue()`, of the four the platform knows),
`max_threads` (given to `launch()`, or null), `mounts` (where Gradio apps lie in the server, "" for its root),
`root` (whether that server answers "/" itself), `own` (the author's own paths: `places`), `guards` (true: no
one but the platform runs functions, and its calls may name a mount), `started` (whether Gradio has done its
start-up work, which it begins when its server answers already), `functions` of the first app (id, api_name,
batch, max_batch_size, queue, concurrency_limit: a number, null for unlimited, or "default"), and `further`:
those of the other apps by their mount.
"""

from __future__ import annotations

import sys
from typing import Any

#: Attribute that keeps a function's own max_batch_size; the report may be made more than once.
AUTHORS = "_spaceport_max_batch_size"
ROUTE = "/__spaceport__/report"
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
    for index, function in enumerate(block_functions(blocks)):
        named = dependencies[index] if isinstance(dependencies, list) and index < len(dependencies) else {}
        limit = getattr(function, "concurrency_limit", "default")
        noted.append(
            {
                "id": getattr(function, "_id", index),
                "api_name": getattr(function, "api_name", named.get("api_name")),
                "batch": bool(getattr(function, "batch", named.get("batch", False))),
                "max_batch_size": getattr(function, AUTHORS, None)
                or getattr(function, "max_batch_size", named.get("max_batch_size", 4)),
                "queue": getattr(function, "queue", named.get("queue", True)) is not False,
                "concurrency_limit": limit if limit is None or isinstance(limit, int) else "default",
            }
        )
    _functions[id(blocks)] = noted


def of(apps: dict[str, Any], *, root: bool, own: list[str], started: bool) -> dict[str, Any]:
    """The report about the apps (Blocks) that are served at these paths; the first is the Space's own.
    `started`: whether the start-up work of `launch()` is done. In a server of the author's own that is before
    the server answers."""
    functions = {path: _functions.get(id(blocks), []) for path, blocks in apps.items()}
    return {
        **_report,
        "guards": True,
        "started": started or not _launches,
        "mounts": list(apps),
        "root": root,
        "own": own,
        "functions": functions.pop(next(iter(apps)), []) if apps else [],
        "further": functions,
    }
