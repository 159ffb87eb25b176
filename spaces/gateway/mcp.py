"""The app's MCP server, Gradio's `gradio_api/mcp`: tools for language models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from queueing.errors import ApiClosed
from queueing.events import encode
from spaces.gateway import http

if TYPE_CHECKING:
    from spaces.gateway.app import Asked
    from spaces.gateway.doors import Doors
    from spaces.gateway.http import Receive, Scope, Send

BODY_LIMIT = 32 * 1024 * 1024
REFUSED = -32000  # JSON-RPC: the server's own errors begin here


async def serve(doors: Doors, asked: Asked, scope: Scope, receive: Receive, send: Send) -> bool:
    """Answer a request that the app's MCP server must not get; False for all others.

    Raises:
        ApiClosed, http.TooLarge
    """
    if not await doors.closed_for(asked):
        return False
    if scope["method"] != "POST":
        raise ApiClosed
    # MCP clients show nobody the text of a refused POST, but the text of a JSON-RPC error.
    asked_id = _id_of(await http.read_body(receive, BODY_LIMIT))
    error = {"code": REFUSED, "message": str(ApiClosed())}
    answer = {"jsonrpc": "2.0", "id": asked_id, "error": error}
    await http.respond(send, 200, encode(answer), "application/json")
    return True


def _id_of(raw: bytes) -> Any:
    try:
        message = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return message.get("id") if isinstance(message, dict) else None
