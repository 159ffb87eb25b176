"""The command line: commands with the servers of this installation; errors of those as sentences."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hardware.trust import membership
from spaceport.keeping import secret_key
from spaceport.up.embedded import HALF_RESTORED, EmbeddedServerFailed, attached, home_of, is_installed

if TYPE_CHECKING:
    from collections.abc import MutableMapping

#: Commands that make an installation where there is none, and those that need none.
MAKES_ONE = {"up"}
NEEDS_NONE = {"", "help", "version", "base_image", "check", "makemigrations"}
#: The command that runs a platform of its own, and that platform's data folder.
PREVIEW, PREVIEW_HOME = "preview", Path.home() / ".cache" / "spaceport" / "preview"
#: The command that makes an installation of a backup. It starts the servers itself, with their data.
RESTORE = "restore"
#: Commands that a node of a platform elsewhere has no use for.
OF_PLATFORMS = {"up", "web", "migrate", "backup", "restore"}
#: The command that makes this machine a node of a platform elsewhere.
JOINS = ["node", "join"]
HELP = {"-h", "--help", "--version"}


def run(argv: list[str], environ: MutableMapping[str, str]) -> None:
    """Run a command of `manage.py`.

    Raises:
        SystemExit
    """
    command = next((word for word in argv[1:2] if not word.startswith("-")), "")
    needs_none = command in NEEDS_NONE or argv[1:3] == JOINS or not HELP.isdisjoint(argv)
    joined = membership.attach(home_of(environ), environ)
    if joined and command in OF_PLATFORMS and HELP.isdisjoint(argv):
        sys.exit(
            f"{home_of(environ)} is the data folder of a node that joined a platform. Run `manage.py node` "
            "here; for a platform of its own set SPACEPORT_HOME to another folder."
        )
    if command == PREVIEW:
        environ.setdefault("SPACEPORT_HOME", str(PREVIEW_HOME))
        needs_none = True
    elif command == RESTORE:
        environ.setdefault(secret_key.VARIABLE, secret_key.NONE_YET)
        needs_none = True
    there = is_installed(environ) and command not in (PREVIEW, RESTORE)
    if not needs_none and (home_of(environ) / HALF_RESTORED).exists():
        sys.exit(f"{home_of(environ)} is half restored. Run `manage.py restore` again, with --replace.")
    if not (there or needs_none or command in MAKES_ONE):
        sys.exit(
            f"There is no installation in {home_of(environ)}. Set SPACEPORT_HOME to its data folder, "
            "or DATABASE_URL and REDIS_URL to its servers. `manage.py up` makes a new one."
        )
    try:
        with contextlib.nullcontext() if needs_none and not there else attached(environ):
            _execute(argv)
    except EmbeddedServerFailed as error:
        sys.exit(str(error))


def _execute(argv: list[str]) -> None:
    from django.core.management import execute_from_command_line
    from django.db.utils import OperationalError, ProgrammingError
    from redis.exceptions import ConnectionError as RedisUnreachable

    try:
        execute_from_command_line(argv)
    except (OperationalError, ProgrammingError, RedisUnreachable) as error:
        if "--traceback" in argv or (text := _sentence(error)) is None:
            raise
        sys.exit(text)


def _sentence(error: Exception) -> str | None:
    """What to do about an error of the servers; None where it is an error of ours."""
    from django.db.utils import OperationalError, ProgrammingError
    from psycopg2.errors import UndefinedColumn, UndefinedTable

    reason = str(error).strip().partition("\n")[0]
    if isinstance(error, OperationalError):
        return f"PostgreSQL cannot be used: {reason}"
    if not isinstance(error, ProgrammingError):
        return f"Redis cannot be used: {reason}"
    if isinstance(error.__cause__, UndefinedTable | UndefinedColumn):
        return f"The database is empty or of an older version; `manage.py migrate` mends that. ({reason})"
    return None
