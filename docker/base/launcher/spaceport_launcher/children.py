"""Processes that the app starts find the launcher too, by PYTHONPATH and `sitecustomize`: one of them may be
the server. Nothing shows it, neither in the app's `os.environ` and `sys.path` nor in theirs."""

from __future__ import annotations

import functools
import os
import sys

TYPE_CHECKING = False  # `typing` costs each process its start
if TYPE_CHECKING:
    from typing import Any

FOLDER = __file__.rpartition("/spaceport_launcher/")[0]
NAME = "PYTHONPATH"


def lend() -> None:
    """Put the launcher into the environment that children inherit; `os.environ` does not know of it."""
    os.putenv(NAME, _lent(os.environ.get(NAME, "")))


def hide() -> None:
    """In a child: take the launcher out of what the program sees, and lend it to its own children."""
    own = [path for path in os.environ.get(NAME, "").split(os.pathsep) if path != FOLDER]
    if any(own):
        os.environ[NAME] = os.pathsep.join(own)
    else:
        os.environ.pop(NAME, None)
    sys.path[:] = [path for path in sys.path if path != FOLDER]
    lend()


def patch_subprocess(module: Any) -> None:
    """Children that are given an environment of their own find it as well."""
    init = module.Popen.__init__

    @functools.wraps(init)
    def popen(self: Any, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("env") is not None:
            kwargs["env"] = {**kwargs["env"], NAME: _lent(kwargs["env"].get(NAME, ""))}
        init(self, *args, **kwargs)

    module.Popen.__init__ = popen


def _lent(own: str) -> str:
    return os.pathsep.join([FOLDER, *(path for path in own.split(os.pathsep) if path not in ("", FOLDER))])
