"""The platform's own way into the app: one connection, any number of calls at once.

`POST /__spaceport__/calls/2`, both directions open for as long as the platform likes, one line each. The
number is the protocol's: a container with another launcher is asked by Gradio's own.

    to the app      {"do": "hello"}
                    {"do": "call", "places": n,
                     "calls": [{"id": …, "after": n, "again": bool, "body": {…}, "request": {…}}, …]}
                    {"do": "cancel", "id": …}
                    {"do": "back", "id": …}
                    {"do": "forget", "id": …}
    from the app    hello <ids of the calls that run>
                    <id> <n> <kind> <message, as Gradio's own queue would send it>

More than one call: a batch. `n` counts a call's messages from 1. Kinds: `m` more to come; `c` completed, `f`
failed, `x` cancelled (the end), each with the milliseconds that it was in its function; `b` gone back as the
platform wished, for it had not begun; `e` a call of an earlier connection ended; `-` not here: use Gradio's
own protocol; `?` unknown, and not to be begun again, or asked for by a connection older than one that has
asked for calls: whoever is there has slept since it claimed this call, which was another's meanwhile and may
have been run and forgotten. `places`: how many calls may be inside their functions at once, 0 where this one
is not counted. Calls beyond that have their inputs made ready, and are told to start when they go in
(`gate`).
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
from typing import Any

from spaceport_launcher.calls import Service
from spaceport_launcher.kept import Connection

PATH = "/__spaceport__/calls/2"
#: Middleware that Gradio itself adds and that no function can see the work of.
OWN_MIDDLEWARE = {"CustomCORSMiddleware", "BrotliMiddleware"}

_services: dict[int, Service] = {}


def patch(app_class: Any) -> None:
    """Answer PATH in front of the app's own middleware; everything else is left to it."""
    original = app_class.__call__

    async def call(self: Any, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "POST":
            await _serve(self, receive, send)
        else:
            await original(self, scope, receive, send)

    app_class.__call__ = call


def usable(app: Any) -> bool:
    """Whether calls may come this way: not past a password or somebody's middleware."""
    from gradio import data_classes
    from gradio.queueing import Queue

    if not hasattr(data_classes, "PredictBodyInternal"):  # Gradio 4 and older
        return False
    names = {getattr(m.cls, "__name__", "") for m in app.user_middleware}
    known = {"events", "batch", "begin_time"} <= set(inspect.signature(Queue.process_events).parameters)
    return app.auth is None and app.auth_dependency is None and names <= OWN_MIDDLEWARE and known


async def _serve(app: Any, receive: Any, send: Any) -> None:
    if not usable(app):
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})
        return
    service = _services.get(id(app))
    if service is None:
        service = _services[id(app)] = Service(app)
    await send({
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-type", b"application/x-ndjson")],
    })  # fmt: skip
    connection = Connection(send, next(service.numbers))
    service.connect(connection)
    writer = asyncio.create_task(connection.write())
    try:
        await _read(service, connection, receive)
    finally:
        service.disconnect(connection)
        writer.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await writer
    await send({"type": "http.response.body"})


async def _read(service: Service, connection: Connection, receive: Any) -> None:
    begun: list[bytes] = []  # of a line that has not ended; joined once, however large it is
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        *ended, rest = message.get("body", b"").split(b"\n")
        for part in ended:
            line = b"".join([*begun, part])
            begun = []
            if line:
                service.order(connection, json.loads(line))
        begun.append(rest)
        if not message.get("more_body"):
            return
