"""Environment variables that had another name before: the old one counts while the new one is not set."""

from __future__ import annotations

import os
import warnings


def renamed(name: str, before: str) -> str | None:
    """The value of the variable `name`, which was called `before`; None where neither is set."""
    if name in os.environ or before not in os.environ:
        return os.environ.get(name)
    warnings.warn(f"{before} is called {name} now. Please rename it.", FutureWarning, stacklevel=2)
    return os.environ[before]
