"""A PostgreSQL that does not answer is given up; one that is slow is not."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import psycopg2
import pytest
from django.db import connection

from infra import silent_database


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where everybody may connect, and is never answered."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        yield f"postgresql://nobody@127.0.0.1:{port}/none?connect_timeout=1"


def test_who_asks_a_server_that_is_silent_is_told(nobody: str) -> None:
    with pytest.raises(silent_database.NoAnswer, match="within 1 s"):
        psycopg2.connect(nobody)
    with pytest.raises(silent_database.NoAnswer, match="a moment ago"):
        psycopg2.connect(nobody)


@pytest.mark.django_db
def test_a_statement_that_is_slow_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []
    server = silent_database._try_server
    monkeypatch.setattr(silent_database, "PATIENCE_S", 0.01)

    def try_server(asking: object) -> None:
        tried.append(asking)
        server(asking)

    monkeypatch.setattr(silent_database, "_try_server", try_server)
    with connection.cursor() as cursor:
        cursor.execute("select 1 from pg_sleep(0.2)")
        assert cursor.fetchone() == (1,)
    assert tried
