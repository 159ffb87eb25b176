"""Whatever a container answers to a visitor's request, or to a question that the gateway asks for one: the
visitor has an answer or a broken connection, others are served, and nobody is sent elsewhere. A new request
is one line of `ASKS`."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from redis.asyncio import Redis

from hardware import replica_client
from hardware.replica_client import ReplicaClient
from queueing.protocols.context import WebContext
from queueing.routes import App, Function
from queueing.store.keys import SpaceKeys
from queueing.store.options import DEFAULTS
from spaces.gateway.app import Gateway
from spaces.gateway.gradio import info, router
from spaces.gateway.proxy import http
from tests.events import a_route, publish, scope_to
from tests.queueing.conftest import redis
from tests.security.hostile_app import (
    INFO,
    MEGABYTE,
    SOCKETS,
    HostileApp,
    head,
    raw,
    repeated,
    serving,
    ways,
    whole,
)

__all__ = ["redis"]

Message = MutableMapping[str, Any]

EVENT = "e" * 32
NEW = App(
    protocol="sse_v3", version="6.31.0", prefix="/gradio_api", functions=(Function(id=0, api_name="say"),)
)
OLD = App(protocol="sse_v3", version="4.44.1", functions=(Function(id=0, api_name="say"),))
PATIENCE_S = 2.0
_ids = itertools.count(70_000)


@dataclass(frozen=True)
class Ask:
    """What a visitor asks for: where, and where the app is asked then."""

    method: str
    path: str
    at: str  # the app
    body: bytes = b""
    app: App = NEW
    passes: bool = False  # the app's own answer is the visitor's, with its status and its headers


ASKS = {
    "info": Ask("GET", "/gradio_api/info", "/gradio_api/info"),
    "config": Ask("GET", "/config", "/config", app=OLD),
    "names": Ask("POST", "/gradio_api/call/v2/say", "/gradio_api/info", b'{"text": "x"}'),
    "chunk": Ask("POST", f"/gradio_api/stream/{EVENT}", "/gradio_api/stream/app-id", b"{}"),
    "page": Ask("GET", "/own/page", "/own/page", passes=True),
    "upload": Ask("POST", "/own/page", "/own/page", b"x" * 100_000, passes=True),
    "tools": Ask("POST", "/gradio_api/mcp/", "/gradio_api/mcp/", b'{"method": "tools/list"}', passes=True),
    "socket": Ask("WEBSOCKET", "/own/socket", "/own/socket"),
}


@dataclass
class Visitor:
    """One request's two ends; it hangs up after a while."""

    asks: Ask
    gets: list[Message] = field(default_factory=list)
    asked: int = 0

    async def receive(self) -> Message:
        self.asked += 1
        if self.asks.method == "WEBSOCKET" and self.asked == 1:
            return {"type": "websocket.connect"}
        if self.asked == 1:
            return {"type": "http.request", "body": self.asks.body, "more_body": False}
        await asyncio.sleep(PATIENCE_S)
        return {"type": "websocket.disconnect" if self.asks.method == "WEBSOCKET" else "http.disconnect"}

    async def send(self, message: Message) -> None:
        # What is sent is let go: a visitor's connection is not the platform's memory.
        self.gets.append({**message, "body": len(message.get("body", b""))})

    @property
    def status(self) -> int:
        return int(next((m["status"] for m in self.gets if m["type"] == "http.response.start"), 0))

    @property
    def names(self) -> set[bytes]:
        return {name for m in self.gets for name, _ in m.get("headers", ())}


class Platform:
    """A gateway, and a Space for each app."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.gateway = Gateway(
            lambda: WebContext(DEFAULTS), key="k", platform_url="http://localhost", demo_domain="localhost"
        )

    async def ask(self, app: HostileApp, asks: Ask) -> Visitor:
        space_id = next(_ids)
        route = a_route(space_id, replica_id=1, address=app.address, app=asks.app)
        await publish(self.redis, route)
        at = SpaceKeys(space_id)
        await self.redis.hset(at.cfg, mapping={"replicas": "1", "serving": 1})
        await self.redis.hset(at.event(EVENT), mapping={"app_id": "app-id", "channel": "c"})
        await self.redis.expire(at.event(EVENT), 60)
        visitor = Visitor(asks)
        length = [(b"content-length", str(len(asks.body)).encode())] if asks.body else []
        kind = "websocket" if asks.method == "WEBSOCKET" else "http"
        host = f"{route.subdomain}.localhost"
        scope = scope_to(host, asks.path, *length, type=kind, method=asks.method)
        try:
            await self.gateway(scope, visitor.receive, visitor.send)
        except http.BrokenOff:
            assert visitor.status, "it had begun"
        return visitor


@pytest.fixture
async def platform(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Platform]:
    monkeypatch.setattr(info, "ANSWER_S", PATIENCE_S)
    monkeypatch.setattr(router, "CONFIG_S", PATIENCE_S)
    monkeypatch.setattr(router, "CHUNK_S", PATIENCE_S)
    monkeypatch.setattr(replica_client, "HANDSHAKE_S", PATIENCE_S)
    monkeypatch.setattr(replica_client, "CONNECT_S", PATIENCE_S)
    platform = Platform(redis)
    yield platform
    await platform.gateway.context.http.close()
    await platform.gateway.context.web.streams.close()


@pytest.mark.parametrize("name", ASKS)
async def test_every_visitor_of_a_hostile_app_has_an_answer_and_others_are_served(
    platform: Platform, name: str
) -> None:
    asks = ASKS[name]
    canary = HostileApp()
    async with serving(canary):
        bad = ways(canary.address)
        apps = [HostileApp({asks.at: answer}) for answer in bad.values()]
        honest = HostileApp({"/own/page": whole(b"hello")})
        async with serving(honest, *apps):
            async with asyncio.timeout(60):
                other, *visitors = await asyncio.gather(
                    platform.ask(honest, Ask("GET", "/own/page", "")),
                    *(platform.ask(app, asks) for app in apps),
                )
        assert other.status == 200
        for way, app, visitor in zip(bad, apps, visitors, strict=True):
            assert any(asks.at in asked for asked in app.asked), way
            if asks.method == "WEBSOCKET":
                assert visitor.gets[-1]["type"] == "websocket.close", way
            elif not asks.passes:
                assert visitor.status in (200, 204, 304, 400, 404, 500, 502, 503), (way, visitor.gets)
                assert visitor.names <= {
                    b"content-type", b"content-length", b"cache-control", b"x-content-type-options",
                    b"retry-after", b"idempotent-replayed", b"referrer-policy",
                }, way  # fmt: skip
            else:
                assert 200 <= visitor.status <= 599 or visitor.asked > 1, (way, visitor.gets)
    assert canary.asked == []


async def test_a_hostile_socket_harms_nobody_else(platform: Platform) -> None:
    apps = [HostileApp({"/own/socket": answer}) for answer in SOCKETS.values()]
    honest = HostileApp({"/own/page": whole(b"hello")})
    async with serving(honest, *apps):
        async with asyncio.timeout(60):
            asking = (platform.ask(app, ASKS["socket"]) for app in apps)
            other, *visitors = await asyncio.gather(platform.ask(honest, ASKS["page"]), *asking)
    assert other.status == 200
    assert all(visitor.gets[0]["type"] == "websocket.accept" for visitor in visitors)


async def test_what_a_visitor_asked_for_is_passed_on_however_large_and_redirects_too(
    platform: Platform,
) -> None:
    large = HostileApp({"/own/page": repeated(head("200 OK"), b"x" * MEGABYTE, 40)})
    moved = HostileApp({"/own/page": whole(b"", "Location: /elsewhere", status="302 Found")})
    async with serving(large, moved):
        got = await platform.ask(large, ASKS["page"])
        assert sum(message["body"] for message in got.gets) == 40 * MEGABYTE
        redirected = await platform.ask(moved, ASKS["page"])
    assert redirected.status == 302
    assert (b"location", b"/elsewhere") in redirected.gets[0]["headers"]


async def test_a_large_description_is_passed_on_as_it_comes(platform: Platform) -> None:
    app = HostileApp({"/gradio_api/info": repeated(head("200 OK"), b" " * MEGABYTE, 40)})
    async with serving(app):
        got = await platform.ask(app, ASKS["info"])
    assert max(message["body"] for message in got.gets) < MEGABYTE
    assert sum(message["body"] for message in got.gets) == 40 * MEGABYTE


async def test_addresses_in_a_description_are_the_visitors_wherever_its_pieces_end(
    platform: Platform,
) -> None:
    text = json.dumps({**INFO, "a": "http://spaceport.invalid/x http://spaceport.invalid"}).encode()
    app = HostileApp({"/gradio_api/info": raw(head("200 OK"), *(text[n : n + 1] for n in range(len(text))))})
    pieces: list[bytes] = []
    async with serving(app):
        route = a_route(address=app.address, app=NEW)
        asked = type("Asked", (), {"scheme": "http", "host": "m-a.localhost", "route": route})
        async with ReplicaClient() as client:
            asking = client.request("GET", app.address, "/gradio_api/info", total_s=10)
            async with asking as reply:
                pieces += [piece async for piece in info.rewritten(reply.chunks(), asked)]  # type: ignore[arg-type]
    assert json.loads(b"".join(pieces))["a"] == "http://m-a.localhost/x http://m-a.localhost"


@pytest.mark.parametrize(
    ("text", "also"), [(b'{"a": 1}', {"a": 1}), (b" {}\n", {}), (b'{"connect_heartbeat": true}', {})]
)
async def test_older_apps_say_where_their_api_is(text: bytes, also: dict[str, Any]) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for n in range(len(text)):
            yield text[n : n + 1]

    config = json.loads(b"".join([chunk async for chunk in router._with_prefix(chunks())]))
    heartbeat = b"true" in text
    assert config == {**also, "api_prefix": "/gradio_api", "connect_heartbeat": heartbeat}
