"""Edited files in the running process: functions and classes are patched in place, changed statements of a
module run again, and what they do not touch stays, a loaded model above all.

`POST /__spaceport__/reload` {"files": {path: text}} → {"status": …, "why": …, "operations": […]}. The work is
done by `spaces.reloading`, the Hub's own, which the platform installs beside Gradio; `operations` are as
`hf spaces hot-reload` prints them. Status: `reloaded`; `untouched`, nothing was done; `half`, something was
done, and the platform is to start the new version: the page changed (pages that are open belong to the old
one), a function takes or is something else, or the new code raised.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
import threading
from pathlib import Path
from typing import Any

from spaceport_launcher import report, staging

ROUTE = "/__spaceport__/reload"
PAGE = "The page changed."
SHAPE = "A function that visitors call has other parameters, or is of another kind."
RAISED = "The new code raised an error."

_lock = threading.Lock()
_registry: Any = None


async def serve(apps: list[Any], receive: Any) -> dict[str, Any]:
    """Answer one request."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return {}
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return await asyncio.to_thread(reload, apps, json.loads(body)["files"])


def reload(apps: list[Any], files: dict[str, str]) -> dict[str, Any]:
    """Take these files into the process. `apps`: the Blocks that are served."""
    try:
        from gradio.cli.commands.reload import reload_thread
        from gradio.utils import NO_RELOAD
        from spaces.reloading import server
    except ImportError as error:
        return _answer("untouched", f"This Space's packages cannot reload code: {error}.")
    if len(apps) != 1:
        return _answer("untouched", "Only one Gradio app that its own process serves can be reloaded.")
    with _lock:
        loaded = _prepared(files)
        if loaded is None:
            return _answer("untouched", "Not all of these files are modules that the app has loaded.")
        before = _shapes(apps[0])
        reload_thread.running_reload = True
        NO_RELOAD.set(False)
        try:
            operations, made = _run(loaded, server)
        finally:
            NO_RELOAD.set(True)
            reload_thread.running_reload = False
    raised = any(operation["kind"] in ("error", "exception") for operation in operations)
    why = RAISED if raised else PAGE if made else SHAPE if _shapes(apps[0]) != before else ""
    operations.append({"kind": "ui", "updated": why == PAGE})
    return _answer("half" if why else "reloaded", why, operations)


def _answer(status: str, why: str, operations: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"status": status, "why": why, "operations": operations or []}


def _prepared(files: dict[str, str]) -> list[tuple[Path, str, Any]] | None:
    """The files with what is known of the modules made of them; None where there is no such module. The text
    that each was loaded from is remembered before it is written over."""
    global _registry
    from spaces._vendor.jurigged.register import Registry

    if _registry is None:
        _registry = Registry()
    found = []
    for name, text in files.items():
        path = staging.folder / name
        modules = {id(one): key for key, one in reversed(list(sys.modules.items())) if _is_at(one, path)}
        if len(modules) != 1:
            return None
        [key] = modules.values()
        _registry.prepare(key, sys.modules[key].__file__)
        found.append((path, text, _registry.get(sys.modules[key].__file__)))
    return found


def _is_at(module: Any, path: Path) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and Path(file) == path


def _run(loaded: list[tuple[Path, str, Any]], server: Any) -> tuple[list[dict[str, Any]], bool]:
    """Write the files and run what changed; what was done, and whether a page was made on the way."""
    operations: list[dict[str, Any]] = []
    made = _Made()
    for path, text, _ in loaded:
        path.unlink(missing_ok=True)  # it may be a link
        path.write_text(text, encoding="utf-8")
    with made:
        for _, _, code in loaded:
            noted: list[Any] = []
            listener = code.activity.register(noted.append)
            try:
                code.refresh()
            except Exception as error:
                operations.append({"kind": "error", "traceback": server.format_traceback(error)})
            finally:
                code.activity.remove(listener)
            shown = map(server.serialize_code_operation, noted)
            operations += [one.model_dump() for one in shown if one is not None]
    return operations, made.any


class _Made:
    """Notes whether this thread makes a Blocks."""

    def __init__(self) -> None:
        self.any = False

    def __enter__(self) -> None:
        blocks, thread = sys.modules["gradio.blocks"].Blocks, threading.get_ident()
        self._blocks, self._original = blocks, blocks.__init__

        def init(this: Any, *args: Any, **kwargs: Any) -> None:
            self.any = self.any or threading.get_ident() == thread
            self._original(this, *args, **kwargs)

        blocks.__init__ = init

    def __exit__(self, *_: object) -> None:
        self._blocks.__init__ = self._original


def _shapes(blocks: Any) -> list[tuple[str, tuple[bool, bool, bool]]]:
    """What Gradio read from each function when the page was made."""
    found = []
    for one in report.block_functions(blocks):
        function = one.fn
        try:
            signature = str(inspect.signature(function))
        except (TypeError, ValueError):
            signature = ""
        kinds = (
            inspect.isgeneratorfunction(function),
            inspect.iscoroutinefunction(function),
            inspect.isasyncgenfunction(function),
        )
        found.append((signature, kinds))
    return found
