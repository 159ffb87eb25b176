"""PostgreSQL or Redis is away for a moment: whoever asks is told so, with a time to try again. Nobody is told
that something is broken, and the log has no traceback."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest
import requests
from django.db import Error, connection

from hardware.runtimes import shim
from infra.away import DATABASE, QUEUE, away
from spaceport.up.embedded import Postgres, Valkey
from tests.hub_server import Hub
from tests.platform_server import lent_home
from tests.waiting import wait_until

SPACE, HIDDEN = "alice/there", "alice/hidden"
PAGE = {"Accept": "text/html"}
GIT = {"User-Agent": "git/2.40"}
LARGE = b" " * 2_500_000


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    """A web process with servers of its own."""
    with lent_home() as home:
        servers = Postgres(home / "postgres"), Valkey(home / "valkey")
        addresses = {"DATABASE_URL": servers[0].start(), "REDIS_URL": servers[1].start()}
        hub = Hub(home, settings=addresses)
        try:
            hub.start()
            api = hub.api("alice")
            api.create_repo(SPACE, repo_type="space", space_sdk="static")
            api.create_repo(HIDDEN, repo_type="space", space_sdk="static", private=True)
            yield hub
        finally:
            hub.stop()
            for server in servers:
                server.stop()


@pytest.fixture(scope="class")
def no_database(hub: Hub) -> Iterator[Hub]:
    """Its PostgreSQL was killed, and is started again at the end."""
    server = Postgres(hub.home / "postgres")
    pid = server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: server.pid() is None, "it is dead")
    yield hub
    server.start()
    answer = hub.call("GET", f"/api/spaces/{SPACE}", "alice")
    assert answer.status_code == 200, answer.text


@pytest.fixture
def silent_database(hub: Hub) -> Iterator[Hub]:
    """Its PostgreSQL has answered before; it stands still, and goes on at the end."""
    assert hub.call("GET", f"/api/spaces/{SPACE}", "alice").ok
    server = Postgres(hub.home / "postgres").pid()
    assert server is not None
    pids = [server, *shim.descendants(server)]
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield hub
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: hub.call("GET", f"/api/spaces/{SPACE}", "alice").ok, "it answers again")


@pytest.fixture
def no_redis(hub: Hub) -> Iterator[Hub]:
    server = Valkey(hub.home / "valkey")
    server.stop()
    yield hub
    server.start()


def is_told(answer: requests.Response, sentence: str) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["X-Error-Message"] == sentence
    assert sentence.replace("'", "&#x27;") in answer.text or sentence in answer.text
    assert "Traceback" not in answer.text


ASKED: list[tuple[str, str, dict[str, str]]] = [
    ("GET", "/", PAGE),
    ("GET", f"/{SPACE}", PAGE),
    ("GET", f"/{SPACE}/settings", {}),
    ("GET", "/api/whoami-v2", {}),
    ("GET", f"/api/spaces/{SPACE}", {}),
    ("POST", "/api/repos/create", {}),
    ("GET", f"/api/spaces/{SPACE}/queue", {}),
    ("GET", f"/api/spaces/{SPACE}/builds", {}),
    ("GET", f"/spaces/{SPACE}/resolve/main/README.md", {}),
    ("GET", f"/spaces/{SPACE}/info/refs?service=git-upload-pack", GIT),
    ("GET", f"/run/{HIDDEN}/config", {}),
    ("GET", "/", {**PAGE, "Host": "alice-hidden.localhost"}),
]


class TestWithoutPostgreSQL:
    @pytest.mark.parametrize(("method", "path", "headers"), ASKED)
    def test_everybody_is_told_to_come_again(
        self, no_database: Hub, method: str, path: str, headers: dict[str, str]
    ) -> None:
        answer = no_database.call(method, path, "alice", headers=headers)
        is_told(answer, DATABASE.sentence)
        kind = "text/html" if "Accept" in headers else "text/plain" if headers == GIT else "application/json"
        assert answer.headers["Content-Type"].startswith(kind)

    def test_a_large_body_is_not_called_too_large_meanwhile(self, no_database: Hub) -> None:
        path = f"/api/spaces/{SPACE}/commit/main"
        is_told(no_database.call("POST", path, "alice", data=LARGE), DATABASE.sentence)

    def test_the_log_says_it_in_lines(self, no_database: Hub) -> None:
        no_database.call("GET", "/api/whoami-v2", "alice")
        assert "GET /api/whoami-v2: a server is away (" in no_database.log()
        assert "Traceback" not in no_database.log()


@pytest.mark.parametrize(("method", "path", "headers"), [ASKED[0], ASKED[4], ASKED[-1]])
def test_a_database_that_neither_answers_nor_refuses_is_away(
    silent_database: Hub, method: str, path: str, headers: dict[str, str]
) -> None:
    is_told(silent_database.call(method, path, "alice", headers=headers), DATABASE.sentence)
    assert "Traceback" not in silent_database.log()


@pytest.mark.parametrize("path", [f"/api/spaces/{SPACE}/queue", f"/run/{SPACE}/config"])
def test_without_redis_too(no_redis: Hub, path: str) -> None:
    is_told(no_redis.call("GET", path, "alice"), QUEUE.sentence)
    assert "Traceback" not in no_redis.log()


def raised(act: Callable[[], object]) -> Error:
    with pytest.raises(Error) as found:
        act()
    connection.close()
    return found.value


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_ended_is_told_from_a_statement_that_took_too_long() -> None:
    def ended() -> None:
        with connection.cursor() as cursor:
            cursor.execute("select pg_terminate_backend(pg_backend_pid())")

    def too_long() -> None:
        with connection.cursor() as cursor:
            cursor.execute("set statement_timeout = 1; select pg_sleep(1)")

    assert away(raised(ended)) is DATABASE
    assert away(raised(too_long)) is None
    caused = RuntimeError("what failed by it")
    caused.__cause__ = raised(ended)
    assert away(caused) is DATABASE
