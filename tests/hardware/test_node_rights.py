"""What a node that joined may do in PostgreSQL and Redis, tried with its own role and user."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg2
import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone
from psycopg2.errors import InsufficientPrivilege
from redis import AuthenticationError, Redis
from redis.exceptions import NoPermissionError

from accounts.models import User
from hardware import nodes
from hardware.models import JoinedNode, Node, Replica
from hardware.trust import database_role, redis_user
from spaces.models import Space
from tests.hardware.test_joining import ordered

pytestmark = pytest.mark.django_db(transaction=True)

Run = Callable[..., Any]


@pytest.fixture
def joined() -> JoinedNode:
    node = Node.objects.create(name="rack1", heartbeat_at=timezone.now())
    return JoinedNode.objects.create(
        node=node, digest="d", address="10.0.0.7:8443", certificate_expires_at=timezone.now() + timedelta(1)
    )


@pytest.fixture
def run(joined: JoinedNode) -> Iterator[Run]:
    """SQL as the node; answers rows, or how many were changed."""
    url = database_role.make(joined.pk, "postgresql://db.example.org/spaceport")
    made = urlsplit(url)
    assert (made.hostname, made.path) == ("db.example.org", "/spaceport")
    assert made.username
    assert made.password
    ours = connection.get_connection_params()
    there = psycopg2.connect(
        host=ours.get("host"), port=ours.get("port"), dbname=ours["dbname"], user=unquote(made.username),
        password=unquote(made.password),
    )  # fmt: skip
    there.autocommit = True

    def ran(text: str, *values: Any) -> Any:
        with there.cursor() as cursor:
            cursor.execute(text, values)
            return cursor.fetchall() if cursor.description else cursor.rowcount

    yield ran
    there.close()
    database_role.drop(joined.pk)


def test_it_reads_what_placing_needs_and_nothing_of_people_or_secrets(run: Run, space: Space) -> None:
    ordered(space, None)
    User.objects.create(username="alice")
    assert len(run("select id, tier, limits, address from hardware_replica")) == 1
    assert run("select owner_id from spaces_space")
    for hidden in (
        "select spec from hardware_replica", "select * from accounts_user",
        "select * from accounts_accesstoken", "select name from spaces_space",
        "select value from spaces_variable", "select * from django_session",
        "select key from hardware_authority", "select digest from hardware_joinednode",
        "select digest from hardware_jointoken", "create table t (a int)",
    ):  # fmt: skip
        with pytest.raises((InsufficientPrivilege, psycopg2.errors.UndefinedTable)):
            run(hidden)


def test_it_changes_its_own_rows_and_takes_those_that_wait(
    run: Run, space: Space, joined: JoinedNode
) -> None:
    other = nodes.register("here", {"cpu": False}, "process")
    own, elsewhere, waits = (ordered(space, node).pk for node in (joined.node, other, None))
    change = "update hardware_replica set state = 'starting', reason = '' where id = %s"
    assert [run(change, pk) for pk in (own, elsewhere, waits)] == [1, 0, 1]
    assert run("update hardware_replica set node_id = %s where id = %s", joined.node_id, waits) == 1
    with pytest.raises(InsufficientPrivilege):
        run("update hardware_replica set node_id = %s where id = %s", other.pk, waits)
    assert run("update hardware_node set heartbeat_at = now()") == 1
    for kept in (
        "update hardware_replica set wanted = false", "update hardware_replica set spec = '{}'",
        "delete from hardware_replica", "update hardware_node set name = 'x'", "delete from hardware_node",
        "insert into hardware_node (name, heartbeat_at) values ('x', now())",
    ):  # fmt: skip
        with pytest.raises(InsufficientPrivilege):
            run(kept)
    assert Replica.objects.filter(pk=elsewhere).update(reason="the platform changes any") == 1


def test_the_role_goes_with_its_node(run: Run, joined: JoinedNode) -> None:
    redis_user.make(joined.pk, "redis://redis.example.org/0")
    joined.node.delete()
    with pytest.raises(psycopg2.Error):
        run("select 1")
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from pg_roles where rolname like %s", [f"%node_{joined.pk}"])
        assert cursor.fetchone() == (0,)


def test_in_redis_it_works_in_queues_and_administers_nothing(joined: JoinedNode) -> None:
    url, known_by = redis_user.make(joined.pk, settings.REDIS_URL)
    JoinedNode.objects.update(redis_digest=known_by)
    try:
        with Redis.from_url(url) as redis:
            assert redis.set("sp:0:probe", "x", ex=5)
            assert redis.eval("return redis.call('GET', KEYS[1])", 1, "sp:0:probe") == b"x"
            redis.delete("sp:0:probe")
            for command in (
                ("CONFIG", "GET", "*"),
                ("FLUSHALL",),
                ("ACL", "LIST"),
                ("SHUTDOWN",),
                ("KEYS", "*"),
            ):
                with pytest.raises(NoPermissionError):
                    redis.execute_command(*command)
        with Redis.from_url(settings.REDIS_URL) as server:
            server.acl_deluser(f"node-{joined.pk}")  # as after its restart
        redis_user.keep()
        with Redis.from_url(url) as redis:
            assert redis.ping()
    finally:
        redis_user.drop(joined.pk)
    with Redis.from_url(url) as redis, pytest.raises(AuthenticationError):
        redis.ping()
