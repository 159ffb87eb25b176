"""The import hook: a module is patched the moment it is imported, whatever version it is."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec, PathFinder

from spaceport_launcher.untraced import untraced

TYPE_CHECKING = False  # `typing` costs each process its start
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import Any

#: Module -> its patch: a module of ours and its function.
PATCHES = {
    "gradio.blocks": ("hooks", "patch_blocks"),
    "gradio.component_meta": ("hooks", "patch_component_meta"),
    "gradio.events": ("hooks", "patch_events"),
    "gradio.oauth": ("login", "patch"),
    "gradio.queueing": ("hooks.inner_queue", "patch"),
    "gradio.route_utils": ("hooks", "patch_route_utils"),
    "gradio.routes": ("hooks", "patch_routes"),
    "gunicorn.arbiter": ("addresses", "patch_gunicorn"),
    "hypercorn.config": ("addresses", "patch_hypercorn"),
    "socket": ("addresses", "patch_socket"),
    "starlette.applications": ("serving", "patch_applications"),
    "starlette.routing": ("serving", "patch_routing"),
    "subprocess": ("children", "patch_subprocess"),
    "uvicorn.config": ("addresses", "patch_uvicorn"),
}
#: Module -> its runner, which gets the usual one: a module of ours and its function.
RUNNERS = {"gradio": ("hooks", "without_collecting")}


def install() -> None:
    """Put the hook in place; once is enough."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Finder())
    for name in PATCHES:
        if (module := sys.modules.get(name)) is not None:
            _patch(module)


def _patch(module: ModuleType) -> None:
    _ours(*PATCHES[module.__name__])(module)


def _ours(module: str, function: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(importlib.import_module(f"spaceport_launcher.{module}"), function)
    return found


class _Finder:
    """Finds the modules of both lists with the ordinary path finder, and patches them once executed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in PATCHES and name not in RUNNERS:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module
        if name in RUNNERS:
            spec.loader.exec_module = _ours(*RUNNERS[name])(execute)  # type: ignore[method-assign]
            return spec

        def exec_module(module: ModuleType) -> None:
            with untraced:
                execute(module)
            _patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
