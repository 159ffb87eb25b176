"""What the app's author asked for: the first values of the Space's settings.

One JSON object, written to the file SPACEPORT_REPORT and served at `/__spaceport__/report`:
`gradio` (version), `queue` (the arguments given to `queue()`, of the four the platform knows),
`max_threads` (given to `launch()`, or null), `mounts` (where Gradio apps lie in a server of the author's own;
empty where Gradio's own serves), `root` (whether that server answers "/" itself), `started` (over HTTP only:
whether Gradio has done its start-up work, which it begins when its server answers already) and `functions`
(id, api_name, batch, max_batch_size, queue, concurrency_limit: a number, null for unlimited, or "default").
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

#: Attribute that keeps a function's own max_batch_size; the report may be made more than once.
AUTHORS = "_spaceport_max_batch_size"
ROUTE = "/__spaceport__/report"
QUEUE_ARGUMENTS = ("concurrency_count", "max_size", "api_open", "default_concurrency_limit")

_report: dict[str, Any] = {
    "gradio": "",
    "queue": {},
    "max_threads": None,
    "mounts": [],
    "root": True,
    "functions": [],
}


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


def mounts(paths: list[str], *, answers_root: bool) -> None:
    """Note where the Gradio apps lie in the server that is about to run."""
    _report["mounts"] = [path.rstrip("/") for path in paths]
    _report["root"] = answers_root
    write()


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
    _report["functions"] = noted


def write() -> None:
    """Write the report to the file the platform named, when it named one."""
    if path := os.environ.get("SPACEPORT_REPORT"):
        with contextlib.suppress(OSError):
            Path(path).write_text(json.dumps(_report))


def serve(app: Any) -> None:
    """Answer the report over HTTP, ahead of the app's own routes and of its password."""
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def answer(_request: Any) -> Any:
        # Inside a server of the author's own that work is done before the server answers.
        started = not _launches or getattr(app, "startup_events_triggered", True)
        return JSONResponse({**_report, "started": started})

    app.router.routes.insert(0, Route(ROUTE, answer))
