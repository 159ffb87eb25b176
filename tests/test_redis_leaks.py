"""The search for leaked keys can fail, and runs in every test."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from redis import Redis

from infra.redis_keys import TABLE
from queueing.store.keys import maker_in_lua
from queueing.store.scripts import FOLDER, LIBRARY
from tests.redis_leaks import leaked


@pytest.fixture
def client() -> Iterator[Redis]:
    with Redis.from_url(os.environ["REDIS_URL"]) as client:
        yield client


@pytest.mark.parametrize(
    "name",
    [
        "sp:{9}:ev:one",
        "sp:{9}:unheard",
        "spaceport:unheard",
        "usage:9",
        "slots:here",
        "logs:run:9",
        "logs:other",
    ],
)
def test_a_key_without_time_to_live_or_declaration_is_a_leak(client: Redis, name: str) -> None:
    client.set(name, "1")
    assert leaked(client) == [name]
    assert leaked(client) == []


@pytest.mark.parametrize(
    ("name", "ttl_s"),
    [
        ("sp:{9}:ev:one", 60),
        ("logs:run:9", 60),
        ("sp:{9}:cfg", None),
        ("sp:{9}:wait:main:/a", None),
        ("x", None),
    ],
)
def test_what_is_declared_is_no_leak(client: Redis, name: str, ttl_s: int | None) -> None:
    client.set(name, "1", ex=ttl_s)
    assert leaked(client) == []
    assert client.delete(name)


def test_every_test_is_searched(request: pytest.FixtureRequest) -> None:
    assert "no_leaked_keys" in request.fixturenames


def test_scripts_make_keys_only_as_they_are_declared() -> None:
    lua = "\n".join(path.read_text() for path in [*FOLDER.glob("*.lua"), *LIBRARY.glob("*.lua")])
    assert re.findall(r".*(?:\b(?:prefix|minutes) *\.\.|:msgs:).*", lua) == []
    made = {name for names in re.findall(r"^-- MAKES: (.*)$", lua, re.MULTILINE) for name in names.split()}
    assert made
    assert made <= {key.make.__name__ for key in TABLE}
    assert maker_in_lua("wait").endswith('return prefix .. "wait:" .. name end')
    assert maker_in_lua("minute").endswith('return minutes .. ":" .. name end')
