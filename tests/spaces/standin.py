"""A small app in the place of a Space's container: says what it was sent, and answers what it is told to."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import redis
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from queueing import routes
from queueing.routes import App
from queueing.store.keys import SpaceKeys
from tests.hub_server import Hub
from tests.waiting import wait_until


async def _said(request: Request) -> Response:
    """What came, as JSON; with `?answer=[[name, value], …]` the headers of the answer, and `?status=`."""
    query = request.query_params
    response = JSONResponse(
        {"headers": request.headers.items(), "path": request.url.path, "query": request.url.query},
        int(query.get("status", "200")),
    )
    for name, value in json.loads(query.get("answer", "[]")):
        response.raw_headers.append((name.encode("latin-1"), value.encode("latin-1")))
    return response


async def _stream(_: Request) -> Response:
    async def forever() -> AsyncIterator[bytes]:
        import asyncio

        while True:
            yield b"data: on\n\n"
            await asyncio.sleep(0.05)

    return StreamingResponse(forever(), media_type="text/event-stream")


async def _echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(json.dumps(dict(socket.headers)))
    async for text in socket.iter_text():
        await socket.send_text(text)


@dataclass
class Standin:
    """It, served on a port of its own."""

    server: uvicorn.Server = field(init=False)
    address: str = ""

    def start(self) -> Standin:
        app = Starlette(
            routes=[
                Route("/stream", _stream),
                WebSocketRoute("/ws", _echo),
                Route("/{path:path}", _said, methods=["GET", "POST", "PUT"]),
            ]
        )
        listens = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{listens.getsockname()[1]}"
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        threading.Thread(target=self.server.run, args=([listens],), daemon=True).start()
        wait_until(lambda: self.server.started, "the stand-in answers")
        return self

    def stop(self) -> None:
        self.server.should_exit = self.server.force_exit = True


def known(hub: Hub, space: str) -> routes.Route:
    """The route of this Space."""
    [(space_id,)] = hub.sql(
        "select s.id from spaces_space s join accounts_owner o on o.id = s.owner_id "
        "where o.name = %s and s.name = %s",
        *space.split("/"),
    )
    with redis.Redis.from_url(hub.redis) as client:
        raw = client.get(SpaceKeys(space_id).route)
    assert raw is not None
    return routes.decode(raw)


def serve(hub: Hub, space: str, standin: Standin, **change: Any) -> routes.Route:
    """Let the stand-in be what runs in this Space."""
    options: dict[str, Any] = {"stage": "RUNNING", "address": standin.address, "app": App(), **change}
    route = msgspec.structs.replace(known(hub, space), **options)
    with redis.Redis.from_url(hub.redis) as client:
        client.set(SpaceKeys(route.space_id).route, routes.encode(route))
    return route
