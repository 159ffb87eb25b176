"""Where a restart of Redis would lose who waits, `/healthz` tells administrators, and so do their pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from redis import Redis

from queueing.store import durability
from tests.people import People
from tests.spaces.pages import folks
from tests.valkeys import Valkey

__all__ = ["folks"]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def administrator(folks: People) -> None:
    """Bob is one."""
    folks.bob.is_superuser = True
    folks.bob.save()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """A server without an append-only file; what asks about the storage asks this one."""
    valkey = Valkey(tmp_path / "valkey", durable=False).start()
    client = Redis.from_url(valkey.url)
    monkeypatch.setattr(durability, "sync_redis", lambda: client)
    yield client
    client.close()
    valkey.kill()


def pages(user: Any) -> dict[str, str]:
    client = Client()
    client.force_login(user)
    shown = {}
    for path in ("/dashboard", "/console", "/console/figures"):
        answer = client.get(path)
        shown[path] = answer.content.decode() if answer.status_code == 200 else ""
    return shown


def health(user: Any) -> dict[str, str]:
    client = Client()
    client.force_login(user)
    warnings: dict[str, str] = client.get("/healthz").json().get("warnings", {})
    return warnings


def test_administrators_are_told_and_nobody_else(folks: People, server: Redis) -> None:
    for path, page in pages(folks.bob).items():
        assert "queue storage is not durable" in page, path
    assert not [path for path, page in pages(folks.alice).items() if "not durable" in page]
    assert "not durable" in health(folks.bob)["redis"]
    assert health(folks.alice) == {}
    server.config_set("appendonly", "yes")
    assert not [path for path, page in pages(folks.bob).items() if "queue storage" in page]
    assert health(folks.bob) == {}


def test_a_server_that_throws_keys_away_is_told_too(folks: People, server: Redis) -> None:
    server.config_set("appendonly", "yes")
    server.config_set("maxmemory", "100mb")
    server.config_set("maxmemory-policy", "allkeys-lru")
    assert "maxmemory-policy noeviction" in pages(folks.bob)["/console"]
    assert "throws keys away" in health(folks.bob)["redis"]
    server.config_set("maxmemory-policy", "noeviction")
    assert health(folks.bob) == {}


def test_the_servers_own_embedded_storage_is_durable() -> None:
    assert durability.warnings() == []


def test_a_server_that_does_not_say_is_believed(server: Redis) -> None:
    server.config_set("requirepass", "secret")  # the connection there may go on, new ones may not
    server.connection_pool.disconnect()
    assert durability.warnings() == []
