"""Events and routes for tests of the queue, with sensible values for what a test does not care about."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from queueing.events import Join, new_event_id
from queueing.routes import Route, encode
from queueing.store import keys
from queueing.store.keys import SpaceKeys


def a_join(channel: str = "session", **values: Any) -> Join:
    """What a page sends of an event of function 0."""
    fields: dict[str, Any] = {
        "event_id": new_event_id(channel, values.get("fn", "0")), "fn": "0", "channel": channel,
        "body": {"data": [1], "fn_index": 0}, "request": {}, "origin": "page",
    }  # fmt: skip
    return Join(**{**fields, **values})


def a_route(space_id: int = 1, **values: Any) -> Route:
    """A route to a Space that runs nowhere."""
    fields: dict[str, Any] = {
        "owner": "m", "name": f"a{space_id}", "owner_id": 1, "subdomain": f"m-{space_id}", "sdk": "gradio",
        "private": False, "stage": "RUNNING",
    }  # fmt: skip
    return Route(space_id=space_id, **{**fields, **values})


async def publish(redis: Redis, route: Route) -> None:
    """Let the gateway find it for a minute."""
    await redis.set(SpaceKeys(route.space_id).route, encode(route), ex=60)
    await redis.set(keys.host(route.subdomain), route.space_id, ex=60)


def scope_to(host: str, path: str, *headers: tuple[bytes, bytes], **values: Any) -> dict[str, Any]:
    """An ASGI scope of a POST to a demo host."""
    return {
        "type": "http", "method": "POST", "path": path, "query_string": b"", "scheme": "http",
        "client": ("127.0.0.1", 1), "headers": [(b"host", host.encode()), *headers], **values,
    }  # fmt: skip
