"""Websockets of a Gradio app that do not go to its container: Gradio 3 joins its queue by one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from infra.json_bodies import BadJson, parse_object
from queueing.errors import BadRequest
from queueing.protocols import gradio3
from queueing.protocols.gradio3 import Gone
from spaces.gateway import paths

if TYPE_CHECKING:
    from spaces.gateway.context import GatewayContext
    from spaces.gateway.proxy.http import Receive, Scope, Send
    from spaces.gateway.request import SpaceRequest

NO_SUCH_PATH = 4404


async def handle(
    context: GatewayContext, request: SpaceRequest, scope: Scope, receive: Receive, send: Send
) -> bool:
    """Answer a websocket that is the queue's, refuse one that would bypass the queue; False for all
    others."""
    app = request.route.app
    if paths.resembles(request.path, app.paths):
        await receive()
        await send({"type": "websocket.close", "code": NO_SUCH_PATH})
        return True
    if not app.protocol:
        return False
    joins = app.protocol == "ws" and request.inner_path == "/queue/join"
    if not joins and not paths.runs(request.path, app):
        return False
    await receive()  # websocket.connect
    if not joins:
        await send({"type": "websocket.close", "code": NO_SUCH_PATH})
        return True
    await send({"type": "websocket.accept"})
    await context.visited(request.route)
    socket = _Socket(receive, send)
    with contextlib.suppress(Gone):
        await gradio3.handle(
            context.gradio, request.route, socket, lambda body: context.caller_of(request, scope, body)
        )
        await send({"type": "websocket.close", "code": 1000})
    return True


class _Socket:
    """The visitor's end of one."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send

    async def send(self, message: bytes) -> None:
        """One text message."""
        await self._send({"type": "websocket.send", "text": message.decode()})

    async def receive(self) -> dict[str, Any]:
        """The next message, a JSON object.

        Raises:
            Gone, BadRequest
        """
        frame = await self._receive()
        if frame["type"] == "websocket.disconnect":
            raise Gone
        try:
            return parse_object(frame.get("text") or frame.get("bytes") or b"", "message")
        except BadJson as error:
            raise BadRequest(str(error)) from error
