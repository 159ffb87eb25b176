"""The copy of what an app says of itself: bounded, never older than what it was forgotten for, and sent in
pieces."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator, MutableMapping
from types import SimpleNamespace
from typing import Any

import pytest

from infra.redis_clients import async_redis, sync_redis
from queueing.routes import App, Route
from queueing.store.keys import SpaceKeys
from spaces import publishing
from spaces.gateway.gradio import kept
from spaces.gateway.gradio.info import NOWHERE_URL
from spaces.gateway.gradio.router import GradioRouter
from tests.events import a_route
from tests.security.hostile_app import INFO, Answer, Exchange, HostileApp, serving, whole

SPACE = 72_000
REPLICA = 7
BUILDS = SimpleNamespace(filter=lambda pk: SimpleNamespace(first=lambda: SimpleNamespace(sha="abc")))
SOME_SPACE: Any = SimpleNamespace(
    pk=SPACE, replica_id=REPLICA, replica=SimpleNamespace(build_id=1), builds=BUILDS
)
K = SpaceKeys(SPACE)


@pytest.fixture(autouse=True)
def serves() -> Iterator[None]:
    """The replica serves."""
    sync_redis().hset(K.cfg, "replicas", REPLICA)
    yield
    sync_redis().delete(K.cfg, K.kept)


def route_to(address: str) -> Route:
    app = App(protocol="sse_v3", version="6.31.0", prefix="/gradio_api")
    return a_route(SPACE, sha="abc", replica_id=REPLICA, address=address, app=app)


async def keep(monkeypatch: pytest.MonkeyPatch, app: HostileApp) -> None:
    async with serving(app):
        monkeypatch.setattr(publishing, "published", lambda _: route_to(app.address))
        await asyncio.to_thread(kept.keep, SOME_SPACE)


def copy() -> dict[bytes, bytes]:
    return dict(sync_redis().hgetall(K.kept))


async def test_what_an_app_says_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    await keep(monkeypatch, HostileApp())
    assert copy().keys() == {b"config", b"info", b"sha"}


async def test_an_app_that_says_more_than_is_kept_has_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    await keep(monkeypatch, HostileApp())
    noise = json.dumps({**INFO, "noise": os.urandom(kept.PACKED_BYTES).hex()}).encode()
    assert len(noise) < kept.MOST_BYTES
    await keep(monkeypatch, HostileApp({"/gradio_api/info": whole(noise)}))
    assert copy() == {}


def acting(act: Any) -> Answer:
    """Answer `/info` honestly, after this was done."""

    async def answer(exchange: Exchange) -> None:
        await asyncio.to_thread(act)
        await whole(json.dumps(INFO).encode())(exchange)

    return answer


async def test_a_copy_forgotten_while_the_app_was_asked_is_not_written_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await keep(monkeypatch, HostileApp({"/gradio_api/info": acting(lambda: kept.forget(SPACE))}))
    assert copy() == {}


@pytest.mark.parametrize("now", ["0", "8"])
async def test_a_replica_that_serves_no_more_leaves_no_copy(
    monkeypatch: pytest.MonkeyPatch, now: str
) -> None:
    serves = acting(lambda: sync_redis().hset(K.cfg, "replicas", now))
    await keep(monkeypatch, HostileApp({"/gradio_api/info": serves}))
    assert b"sha" not in copy()


async def test_apps_that_hang_hold_only_so_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(kept.AT_ONCE):
        assert kept._slots.acquire(blocking=False)
    try:
        with pytest.raises(kept.Busy):
            await keep(monkeypatch, HostileApp())
    finally:
        for _ in range(kept.AT_ONCE):
            kept._slots.release()
    await keep(monkeypatch, HostileApp())
    assert b"sha" in copy()


async def test_a_copy_full_of_addresses_is_sent_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    said = b'{"a":"%s"}' % (NOWHERE_URL * 100_000)
    await keep(monkeypatch, HostileApp({"/gradio_api/info": whole(said)}))
    host = "h" * 250
    asked: Any = SimpleNamespace(route=route_to(""), scheme="http", host=host)
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        return {}

    context: Any = SimpleNamespace(redis=async_redis())
    scope = {"query_string": kept.PLAIN}
    assert await GradioRouter(context)._kept("info", asked, scope, receive, send)
    assert sent[0]["status"] == 200
    body = b"".join(message["body"] for message in sent[1:])
    assert body == re.sub(re.escape(NOWHERE_URL), f"http://{host}".encode(), said)
    # A visitor's address is at most so many times as long as the one it replaces.
    longest = kept.CHUNK_BYTES * (1 + (len(host) + 7) // len(NOWHERE_URL))
    assert max(len(message["body"]) for message in sent[1:]) <= longest
