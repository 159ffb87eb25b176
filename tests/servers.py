"""A pytest plugin: real PostgreSQL and Valkey before Django reads its settings.

Servers named by DATABASE_URL and REDIS_URL are used as they are; else embedded ones start in a fresh folder
and stop at the end, for each worker process of xdist its own. Tests empty theirs: name some for one process.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from tests.prepared_home import EMPTY, prepare

_folder: Path | None = None


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    global _folder
    # A platform is six processes: without bytecode each compiles the whole project again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    if "PYTEST_XDIST_WORKER" not in os.environ and early_config.known_args_namespace.numprocesses:
        return  # the workers run the tests
    from spaceport.up.embedded import postgres, valkey

    # PostgreSQL's socket path must stay short, and its own user must be able to reach it.
    _folder = Path(tempfile.mkdtemp(prefix="spaceport-test-", dir="/tmp"))
    _folder.chmod(0o755)
    os.environ["SPACEPORT_HOME"] = str(_folder)
    if not os.environ.get("DATABASE_URL"):
        prepare(_folder)
        os.environ["DATABASE_URL"] = postgres(_folder).start()
        _without_durability(os.environ["DATABASE_URL"])
    if not os.environ.get("REDIS_URL"):
        os.environ["REDIS_URL"] = valkey(_folder).start()


def _without_durability(database: str) -> None:
    """Nobody needs what is in this server after a crash: it need not wait for the disk."""
    import psycopg2

    connection = psycopg2.connect(database)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                cursor.execute(f"alter system set {setting} = off")
            cursor.execute("select pg_reload_conf()")
    finally:
        connection.close()


def template() -> str | None:
    """A migrated, empty database, to make others from; None: this server has none."""
    return EMPTY if _folder is not None and (_folder / "postgres").exists() else None


def pytest_unconfigure() -> None:
    if _folder is None:
        return
    from spaceport.up.embedded import postgres, valkey

    valkey(_folder).stop()
    postgres(_folder).stop()
    shutil.rmtree(_folder, ignore_errors=True)
