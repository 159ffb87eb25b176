"""The app file as `python app.py` runs it: the same `__main__`, paths and tracebacks."""

from __future__ import annotations

import os
import sys
from importlib.machinery import SourceFileLoader
from typing import TYPE_CHECKING, Any

from spaceport_launcher import hooks, staging
from spaceport_launcher.untraced import Untraced

if TYPE_CHECKING:
    from types import TracebackType


class Run(Untraced):
    """The time in which the app file runs. Where it ends and has started no server, its demo is launched."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        """`namespace`: of `__main__`, in which nothing is left but what Python puts there for a script."""
        if len(sys.argv) < 2:
            sys.exit("usage: python spaceport_launcher/__main__.py APP_FILE")
        launcher, *sys.argv = sys.argv
        sys.orig_argv[:] = [word for word in sys.orig_argv if word != launcher]
        self._app_file = sys.argv[0]
        self._namespace = namespace
        folder = staging.prepare()
        os.chdir(folder)
        path = folder / self._app_file
        if not path.is_file():
            sys.exit(f"There is no file {self._app_file} in this Space.")
        if not getattr(sys.flags, "safe_path", False):
            sys.path[0] = str(path.resolve().parent)
        hooks.install()
        self._become_main(str(path))

    def _become_main(self, path: str) -> None:
        kept = {k: v for k, v in self._namespace.items() if k.startswith("__") and k.endswith("__")}
        self._namespace.clear()
        self._namespace |= kept
        self._namespace |= dict.fromkeys(("__doc__", "__package__", "__spec__"))
        self._namespace |= {"__file__": path, "__loader__": SourceFileLoader("__main__", path)}

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        super().__exit__(kind, error, trace)
        if error is None and not hooks.launched():
            demo = hooks.find_demo(self._namespace)
            if demo is None:
                sys.exit(
                    f"{self._app_file} ended without launching anything. "
                    "Call demo.launch(), or name your gr.Blocks or gr.Interface `demo`."
                )
            demo.launch()
