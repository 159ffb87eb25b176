"""Gradio spends half of its import on what no running app uses: it writes a stub for editors beside each of
its components, and compiles the same documentation anew for each component that has an event of that name."""

from __future__ import annotations

import functools
import gc
from typing import TYPE_CHECKING, Any

from spaceport_launcher.untraced import untraced

if TYPE_CHECKING:
    from collections.abc import Callable

TEMPLATES = 128


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
    """Run a module without looking for garbage: it makes hundreds of thousands of objects that all stay."""

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
