"""Import hooks: Gradio is patched in the moment the app imports it, whatever version it is."""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import inspect
import os
import sys
from typing import TYPE_CHECKING, Any

from spaceport_launcher import report
from spaceport_launcher.untraced import untraced

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: The platform's max_batch_size may go this far, whatever the author's decorator says.
INNER_MAX_BATCH_SIZE = 1024
#: Arguments of older Gradio versions that newer ones refuse; dropping them changes nothing for a visitor.
OBSOLETE_LAUNCH = ("enable_queue", "encrypt", "show_tips")
INNER_POLL_S = 0.02

_launched = False


def launched() -> bool:
    """Whether the app started a server by itself."""
    return _launched


def find_demo(namespace: dict[str, Any]) -> Any | None:
    """The Blocks to launch in a script that never launches one: `demo`, else the last one defined."""
    blocks = getattr(sys.modules.get("gradio.blocks"), "Blocks", None)
    if blocks is None:
        return None
    found = [value for value in namespace.values() if isinstance(value, blocks)]
    named = namespace.get("demo")
    return named if isinstance(named, blocks) else (found[-1] if found else None)


def install() -> None:
    """Put the hooks in place; call before the app is run."""
    sys.meta_path.insert(0, _Finder())


def _patch_blocks(module: Any) -> None:
    blocks = module.Blocks
    blocks.queue = _queue(blocks.queue)
    blocks.launch = _launch(blocks.launch)


def _patch_routes(module: Any) -> None:
    from spaceport_launcher import wire  # not before: an app may have to be the first to import asyncio

    module.App.create_app = staticmethod(_create_app(module.App.create_app))
    wire.patch(module.App)


def _patch_route_utils(module: Any) -> None:
    if hasattr(module, "get_root_url"):  # Gradio 3 has none
        module.get_root_url = _get_root_url(module.get_root_url)


def _patch_uvicorn(module: Any) -> None:
    module.run = _uvicorn_run(module.run)


_PATCHES: dict[str, Callable[[Any], None]] = {
    "gradio.blocks": _patch_blocks,
    "gradio.route_utils": _patch_route_utils,
    "gradio.routes": _patch_routes,
    "uvicorn": _patch_uvicorn,
}


class _Finder:
    """Finds the modules to patch with the ordinary path finder, and patches them once executed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        patch = _PATCHES.get(name)
        if patch is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            with untraced:
                execute(module)
            patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _queue(original: Callable[..., Any]) -> Callable[..., Any]:
    parameters = inspect.signature(original).parameters
    names = [name for name in parameters if name != "self"]

    @functools.wraps(original)
    def queue(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        report.queue_arguments(given)
        ours: dict[str, Any] = {"api_open": True, "max_size": None}
        if "default_concurrency_limit" in parameters:
            ours["default_concurrency_limit"] = None
        elif "concurrency_count" in parameters:  # Gradio 3: workers for all functions together
            ours["concurrency_count"] = _max_threads()
        if "status_update_rate" in given:
            ours["status_update_rate"] = given["status_update_rate"]
        with untraced:
            return original(self, **{name: value for name, value in ours.items() if name in parameters})

    return queue


def _launch(original: Callable[..., Any]) -> Callable[..., Any]:
    parameters = inspect.signature(original).parameters
    names = [name for name in parameters if name != "self"]

    @functools.wraps(original)
    def launch(self: Any, *args: Any, **kwargs: Any) -> Any:
        global _launched
        _launched = True
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        report.launches()
        report.max_threads(given.get("max_threads"))
        ours = {
            "server_name": os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0"),  # noqa: S104  # a container's own
            "server_port": int(os.environ.get("GRADIO_SERVER_PORT", "7860")),
            "share": False,
            "inbrowser": False,
            "ssr_mode": False,
            "max_threads": _max_threads(),
            "ssl_keyfile": None,
            "ssl_certfile": None,
        }
        for name in OBSOLETE_LAUNCH:
            if name not in parameters:
                given.pop(name, None)
        given.update({name: value for name, value in ours.items() if name in parameters})
        with untraced:
            return original(self, **given)

    return launch


def _create_app(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def create_app(blocks: Any, *args: Any, **kwargs: Any) -> Any:
        report.functions(blocks)
        for function in report.block_functions(blocks):
            if getattr(function, "batch", False) and not hasattr(function, report.AUTHORS):
                setattr(function, report.AUTHORS, function.max_batch_size)
                function.max_batch_size = max(function.max_batch_size, INNER_MAX_BATCH_SIZE)
        report.write()
        with untraced:
            app = original(blocks, *args, **kwargs)
        _calm(blocks)
        report.serve(app)
        return app

    return create_app


def _calm(blocks: Any) -> None:
    """Spare the app work that nobody sees. Its own queue looks for events 50 times a second, not 1,000 times:
    few go there, and an idle app used 8 % of a core for it. And Gradio imports matplotlib twice in each call:
    where there is none, its whole path was searched each time, an eighth of a short call's work."""
    if "matplotlib" not in sys.modules and importlib.util.find_spec("matplotlib") is None:
        sys.modules["matplotlib"] = None  # type: ignore[assignment]  # the import system's "there is none"
    queue = getattr(blocks, "_queue", None)
    if hasattr(queue, "sleep_when_free"):
        queue.sleep_when_free = INNER_POLL_S


def _get_root_url(original: Callable[..., Any]) -> Callable[..., Any]:
    """The platform tells the whole public address, path included: neither the place where the app is mounted
    nor a `root_path` that its author gave for another server may take the path's place."""
    signature = inspect.signature(original)

    @functools.wraps(original)
    def get_root_url(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        request = given.arguments.get("request")
        if "root_path" in signature.parameters and request.headers.get("x-forwarded-host"):
            given.arguments["root_path"] = None
        with untraced:
            return original(*given.args, **given.kwargs)

    return get_root_url


def _uvicorn_run(original: Callable[..., Any]) -> Callable[..., Any]:
    """For apps that mount Gradio in a FastAPI of their own and run that."""

    @functools.wraps(original)
    def run(app: Any, **kwargs: Any) -> Any:
        from spaceport_launcher import mounted

        global _launched
        _launched = True
        kwargs["host"] = os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0")  # noqa: S104  # a container's own
        kwargs["port"] = int(os.environ.get("GRADIO_SERVER_PORT", "7860"))
        with untraced:
            return original(mounted.front(app, kwargs), **kwargs)

    return run


def _max_threads() -> int:
    return int(os.environ.get("SPACEPORT_MAX_THREADS", "40"))
