"""A node's own role in PostgreSQL: it reads what placing and running replicas needs, writes its own rows and
those that wait for a node, and neither sees orders, which contain secrets, nor accounts."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from django.db import Error, ProgrammingError, connection, transaction
from psycopg2 import sql
from psycopg2.errors import InsufficientPrivilege

from hardware.models import Deleted, HardwareTier, JoinedNode, Node, Replica, VolumeHome

if TYPE_CHECKING:
    from django.db.models import Model

#: Columns of each table that nodes read; None: all.
READS: dict[type[Model] | str, tuple[str, ...] | None] = {
    Node: None,
    Replica: tuple(str(field.column) for field in Replica._meta.concrete_fields if field.name != "spec"),
    VolumeHome: None,
    Deleted: None,
    HardwareTier: None,
    JoinedNode: ("id", "node_id"),
    "spaces_space": ("id", "owner_id"),
}
#: Those that they write.
WRITES: dict[type[Model], tuple[str, ...]] = {
    Node: (
        "tiers", "runtime", "place", "devices", "capacity", "heartbeat_at", "leaving",
    ),
    Replica: (
        "node_id", "state", "simulated", "devices", "reason", "waits", "runtime_id", "address", "report",
        "ready_at", "reloaded_to", "restarts", "cause", "ended_at", "next_image",
    ),
    VolumeHome: ("size_bytes", "files"),
    Deleted: ("cleared_by",),
}  # fmt: skip
#: Which rows of these they may change.
OWN = {
    Node: "id in (select node_id from hardware_joinednode where {prefix} || id = current_user)",
    Replica: (
        "node_id is null or node_id in "
        "(select node_id from hardware_joinednode where {prefix} || id = current_user)"
    ),
}


class NoRoles(Exception):
    """The platform's own role cannot make roles; the message gives the remedy."""


def make(number: int, url: str) -> str:
    """A role for the node of this number; answers the URL with it.

    Raises:
        NoRoles
    """
    password = secrets.token_urlsafe(32)
    try:
        with transaction.atomic():
            if not _exists(_group()):
                _run("create role {group} nologin")
                grant()
            _run("create role {role} login password %s in role {group}", _role(number), [password])
    except Error as error:
        if isinstance(error.__cause__, InsufficientPrivilege):
            raise NoRoles(
                "The platform's PostgreSQL role may not make roles for nodes. As its administrator run "
                f'`ALTER ROLE "{connection.settings_dict["USER"]}" CREATEROLE`. The token is still good.'
            ) from error
        raise
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{quote(_role(number))}:{quote(password)}@{host}").geturl()


def grant() -> None:
    """Give nodes what they need, and nothing else: with the first one, and after each migration."""
    for model, columns in READS.items():
        table = model if isinstance(model, str) else model._meta.db_table
        _grant("select", table, columns)
    for model, columns in WRITES.items():
        _grant("update", model._meta.db_table, columns)
    homes = VolumeHome._meta.db_table
    _grant("insert", homes, None)
    _run(f"grant usage on sequence {homes}_id_seq to {{group}}")
    for model, rule in OWN.items():
        _keep_to(model._meta.db_table, rule)


def grant_again(**_: Any) -> None:
    """After a migration, where nodes have joined. One may go back to before there was anything to grant."""
    if _exists(_group()) and JoinedNode._meta.db_table in connection.introspection.table_names():
        grant()


def drop(number: int) -> None:
    """The node's role is nobody's any more, and its connections end."""
    role = _role(number)
    if _exists(role):
        _run("alter role {role} nologin", role)
        with suppress(ProgrammingError), transaction.atomic():  # where the platform's role may not
            _run("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", "", [role])
        _run("drop role {role}", role)


def _keep_to(table: str, rule: str) -> None:
    """Whoever else uses the table sees no difference."""
    known = rule.format(prefix="'" + _role("").replace("'", "''") + "'")
    _run(f"alter table {table} enable row level security")
    _run(f"drop policy if exists everybody on {table}")
    _run(f"create policy everybody on {table} using (true) with check (true)")
    _run(f"drop policy if exists own_rows on {table}")
    own = f"as restrictive for update to {{group}} using ({known}) with check ({known})"
    _run(f"create policy own_rows on {table} {own}")


def _group() -> str:
    return f"{connection.settings_dict['NAME']}_nodes"


def _role(number: int | str) -> str:
    return f"{connection.settings_dict['NAME']}_node_{number}"


def _grant(what: str, table: str, columns: tuple[str, ...] | None) -> None:
    named = f" ({', '.join(columns)})" if columns is not None else ""
    _run(f"grant {what}{named} on {table} to {{group}}")


def _exists(role: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("select 1 from pg_roles where rolname = %s", [role])
        return cursor.fetchone() is not None


def _run(text: str, role: str = "", values: list[str] | None = None) -> None:
    """`{group}` and `{role}` in it are names of roles."""
    names = {"group": sql.Identifier(_group()), "role": sql.Identifier(role or "nobody")}
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(text).format(**names), values)
