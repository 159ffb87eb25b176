"""The platform's own way into the app: one connection, any number of calls at once.

`POST /__spaceport__/calls/2`, both directions open for as long as the platform likes, one line each. The
number is the protocol's: a container with another launcher is called by Gradio's own protocol.

    to the app      {"do": "hello"}
                    {"do": "call", "group": name, "places": n, "each": n, "total": n,
                     "calls": [{"id": …, "after": n, "again": bool, "body": {…}, "request": {…}}, …]}
                    {"do": "cancel", "id": …}
                    {"do": "back", "id": …}
                    {"do": "forget", "id": …}
    from the app    hello <ids of the calls that run>
                    <id> <n> <kind> <message, as Gradio's own queue would send it>

More than one call: a batch. `n` counts a call's messages from 1. Kinds: `m` more to come; `c` completed, `f`
failed, `x` cancelled (the end), each with the milliseconds that it was in its function; `b` gone back as the
platform wished, for it had not begun; `e` a call of an earlier connection ended; `-` not here: use Gradio's
own protocol; `?` unknown, and not to be begun again, or requested by a connection older than one that has
requested calls: its dispatcher has slept since it claimed this call, which was another's meanwhile and may
have been run and forgotten. `places`: how many calls of the `group` may be inside their functions at once, 0
where this one is not counted; `each`: of every group without a number, `total`: of all, both 0 for any
number. Calls beyond that have their inputs made ready, and publish their start when they go in (`slots`).
Only a report with `gate` shows that a launcher knows groups: others are sent 0 places.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
from typing import Any

from spaceport_launcher import mounts
from spaceport_launcher.call_log import Connection
from spaceport_launcher.calls import Service

PATH = "/__spaceport__/calls/2"
_services: dict[int, Service] = {}


def usable(app: Any) -> bool:
    """Whether calls may come this way: not past a password or somebody's middleware."""
    from gradio import data_classes
    from gradio.queueing import Queue

    if not hasattr(data_classes, "PredictBodyInternal"):  # Gradio 4 and older
        return False
    names = {getattr(m.cls, "__name__", "") for m in app.user_middleware}
    known = {"events", "batch", "begin_time"} <= set(inspect.signature(Queue.process_events).parameters)
    return app.auth is None and app.auth_dependency is None and names <= mounts.OWN_MIDDLEWARE and known


async def serve(apps: dict[str, Any], main: str, receive: Any, send: Any) -> None:
    """One connection of a dispatcher to the Gradio apps that lie at these paths. Calls that name no `mount`
    are for the one at `main`."""
    services = {
        path: _service(app, "" if path == main else path) for path, app in apps.items() if usable(app)
    }
    if not services:
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})
        return
    await send({
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-type", b"application/x-ndjson")],
    })  # fmt: skip
    first = next(iter(services.values()))
    connection = Connection(send, next(first.numbers))
    for service in services.values():
        service.newest = connection
    first.connect(connection)
    writer = asyncio.create_task(connection.write())
    try:
        await _read(services, main, connection, receive)
    finally:
        for service in services.values():
            service.disconnect(connection)
        writer.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await writer
    await send({"type": "http.response.body"})


def _service(app: Any, beside: str) -> Service:
    """The calls of this app. All apps of a server know the same calls and share one limiter. `beside`: its
    mount, where the Space has another one before it."""
    if (service := _services.get(id(app))) is None:
        service = Service(app, beside)
        for other in _services.values():
            service.calls, service.slots = other.calls, other.slots
        _services[id(app)] = service
    return service


async def _read(services: dict[str, Service], main: str, connection: Connection, receive: Any) -> None:
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
                _order(services, main, connection, json.loads(line))
        begun.append(rest)
        if not message.get("more_body"):
            return


def _order(services: dict[str, Service], main: str, connection: Connection, order: dict[str, Any]) -> None:
    path = order["calls"][0]["body"].get("mount", main) if order["do"] == "call" else next(iter(services))
    if path in services:
        services[path].order(connection, order)
        return
    for call in order["calls"]:
        connection.send(b"%s 1 - \n" % call["id"].encode())
