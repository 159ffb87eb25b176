"""How Gradio is patched: its queue, its `launch`, the apps it makes, and what its import spends on no app."""

from __future__ import annotations

import functools
import gc
import importlib.util
import inspect
import os
import sys
from typing import TYPE_CHECKING, Any

from spaceport_launcher import addresses, children, finder, groups, mounts, report
from spaceport_launcher.untraced import untraced

if TYPE_CHECKING:
    from collections.abc import Callable

#: The platform's max_batch_size may go this far, whatever the author's decorator sets.
INNER_MAX_BATCH_SIZE = 1024
#: Arguments of older Gradio versions that newer ones refuse; dropping them changes nothing for a visitor.
OBSOLETE_LAUNCH = ("enable_queue", "encrypt", "show_tips")
#: Documents of events that are kept compiled.
TEMPLATES = 128

_launched = False


def launched() -> bool:
    """Whether the app started a server by itself."""
    serving = sys.modules.get("spaceport_launcher.serving")
    return _launched or addresses.configured() or (serving is not None and serving.was_called())


def install() -> None:
    """Put the hooks in place, here and in the processes that the app starts; call before the app is run."""
    finder.install()
    children.lend()


def find_demo(namespace: dict[str, Any]) -> Any | None:
    """The Blocks to launch in a script that never launches one: `demo`, else the last one defined."""
    blocks = getattr(sys.modules.get("gradio.blocks"), "Blocks", None)
    if blocks is None:
        return None
    found = [value for value in namespace.values() if isinstance(value, blocks)]
    named = namespace.get("demo")
    return named if isinstance(named, blocks) else (found[-1] if found else None)


def patch_blocks(module: Any) -> None:
    blocks = module.Blocks
    blocks.queue = _queue(blocks.queue)
    blocks.launch = _launch(blocks.launch)


def patch_routes(module: Any) -> None:
    module.App.create_app = staticmethod(_create_app(module.App.create_app))


def patch_route_utils(module: Any) -> None:
    if hasattr(module, "get_root_url"):  # Gradio 3 has none
        module.get_root_url = _get_root_url(module.get_root_url)


def patch_component_meta(module: Any) -> None:
    """No stubs of Gradio's own components. Writing those of an app's checks that the class is in its file."""
    if not hasattr(module, "create_or_modify_pyi"):  # Gradio 3 has none
        return
    original = module.create_or_modify_pyi

    @functools.wraps(original)
    def create_or_modify_pyi(component_class: type, *args: Any, **kwargs: Any) -> Any:
        if component_class.__module__.partition(".")[0] == "gradio":
            return None
        with untraced:
            return original(component_class, *args, **kwargs)

    module.create_or_modify_pyi = create_or_modify_pyi


def patch_events(module: Any) -> None:
    """A template is compiled once."""
    if hasattr(module, "Template"):
        module.Template = functools.lru_cache(TEMPLATES)(module.Template)


def without_collecting(execute: Callable[..., None]) -> Callable[..., None]:
    """Run a module without garbage collection: it makes hundreds of thousands of objects that all stay."""

    def run(*args: Any) -> None:
        was = gc.isenabled()
        gc.disable()
        try:
            with untraced:
                execute(*args)
        finally:
            if was:
                gc.enable()

    return run


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
        ours: dict[str, Any] = {
            "share": False,
            "inbrowser": False,
            "ssr_mode": False,
            "max_threads": _max_threads(),
            "ssl_keyfile": None,
            "ssl_certfile": None,
        }
        if getattr(self, "is_running", False) or addresses.is_free():
            ours["server_name"], ours["server_port"] = addresses.ours()
        else:
            addresses.report_inside_only()
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
            groups.free(function)
        from spaceport_launcher import (
            serving,
        )  # not before: an app may have to be the first to import asyncio

        given = kwargs.get("app")
        own = list(given.routes) if given is not None else []
        with untraced:
            app = original(blocks, *args, **kwargs)
        setattr(app, mounts.OWN, own)
        serving.guard(app)
        _calm()
        return app

    return create_app


def _calm() -> None:
    """Spare the app work that nobody sees. Gradio imports matplotlib twice in each call: where there is none,
    its whole path was searched each time, an eighth of a short call's work."""
    if "matplotlib" not in sys.modules and importlib.util.find_spec("matplotlib") is None:
        sys.modules["matplotlib"] = None  # type: ignore[assignment]  # the import system's "there is none"


def _get_root_url(original: Callable[..., Any]) -> Callable[..., Any]:
    """The platform sends the whole public address, path included: neither the app's mount nor a `root_path`
    that its author gave for another server may replace the path."""
    signature = inspect.signature(original)

    @functools.wraps(original)
    def get_root_url(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        request: Any = given.arguments.get("request")
        if "root_path" in signature.parameters and request.headers.get("x-forwarded-host"):
            given.arguments["root_path"] = None
        with untraced:
            return original(*given.args, **given.kwargs)

    return get_root_url


def _max_threads() -> int:
    return int(os.environ.get("SPACEPORT_MAX_THREADS", "40"))
