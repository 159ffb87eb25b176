"""A pytest plugin: real PostgreSQL and Valkey before Django reads its settings.

Servers named by DATABASE_URL and REDIS_URL are used as they are; else embedded ones start in a fresh
folder and stop at the end. Worker processes of xdist inherit the environment.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

_folder: Path | None = None


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    global _folder
    if "SPACEPORT_TEST_HOME" in os.environ:
        return
    from spaceport.up.embedded import postgres, valkey

    # PostgreSQL's socket path must stay short, and its own user must be able to reach it.
    _folder = Path(tempfile.mkdtemp(prefix="spaceport-test-", dir="/tmp"))
    _folder.chmod(0o755)
    os.environ["SPACEPORT_TEST_HOME"] = os.environ["SPACEPORT_HOME"] = str(_folder)
    if not os.environ.get("DATABASE_URL"):
        os.environ["DATABASE_URL"] = postgres(_folder).start()
    if not os.environ.get("REDIS_URL"):
        os.environ["REDIS_URL"] = valkey(_folder).start()


def pytest_unconfigure() -> None:
    if _folder is None:
        return
    from spaceport.up.embedded import postgres, valkey

    valkey(_folder).stop()
    postgres(_folder).stop()
    shutil.rmtree(_folder, ignore_errors=True)
