"""How large a body may be depends on who sends it where: the gateway finds that out once a request."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest
from redis.asyncio import Redis

from queueing.protocols.context import WebContext
from queueing.store.options import DEFAULTS
from spaceport.web.bodies import ORDINARY, Limits, bounded
from spaces.gateway.app import Gateway
from tests.events import a_route, publish, scope_to
from tests.queueing.conftest import redis

__all__ = ["redis"]

SPACE = 71_000


@pytest.mark.parametrize("size", [ORDINARY * 2, None], ids=["declared", "chunked"])
async def test_a_request_with_a_large_body_is_parsed_once(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, size: int | None
) -> None:
    route = a_route(SPACE, sdk="docker", stage="BUILD_ERROR")
    await publish(redis, route)
    gateway = Gateway(
        lambda: WebContext(DEFAULTS), key="k", platform_url="http://localhost", demo_domain="localhost"
    )
    parse, parsed = gateway._parse, []

    async def counted(scope: MutableMapping[str, Any]) -> Any:
        parsed.append(scope["path"])
        return await parse(scope)

    async def served(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        await gateway(scope, receive, send)
        await receive()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"x" * (ORDINARY + 1), "more_body": False}

    statuses = []

    async def send(message: MutableMapping[str, Any]) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    monkeypatch.setattr(gateway, "_parse", counted)
    length = (b"transfer-encoding", b"chunked") if size is None else (b"content-length", b"%d" % size)
    limits = Limits(files_bytes=0, is_app=lambda _: True, of_app=gateway.largest_body)
    scope = scope_to(f"{route.subdomain}.localhost", "/upload", length)
    await bounded(served, limits)(scope, receive, send)
    await gateway.context.http.close()
    assert statuses == [503]
    assert parsed == ["/upload"]
