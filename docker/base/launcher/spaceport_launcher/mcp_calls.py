"""One request to the app's own MCP server, as a call of the platform's: it has waited in its queue, and the
functions that it runs take no second turn there."""

from __future__ import annotations

import asyncio
import codecs
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PATH = "/gradio_api/mcp/"


async def answer(
    app: Any, rpc: Any, request: dict[str, Any], query: str, publish: Callable[[str], None]
) -> int:
    """Have the server answer the JSON-RPC message `rpc`; returns its status.

    Args:
        request: the visitor's request, as its functions see it: `headers`.
        publish: gets the answer piece by piece, as server-sent events.
    """
    raw, sent = json.dumps(rpc).encode(), False
    status, streams = 0, False
    decoder, rest = codecs.getincrementaldecoder("utf-8")(), ""

    async def receive() -> Any:
        nonlocal sent
        if sent:  # the caller stays until the answer is there; else this task is cancelled
            await asyncio.Event().wait()
        sent = True
        return {"type": "http.request", "body": raw, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status, streams, rest
        if message["type"] == "http.response.start":
            status = message["status"]
            kinds = [value for name, value in message["headers"] if name.lower() == b"content-type"]
            streams = bool(kinds) and kinds[0].startswith(b"text/event-stream")
        elif message["type"] == "http.response.body":
            text = decoder.decode(message.get("body", b""))
            if streams and text:
                publish(text)
            else:
                rest += text

    await app(_scope(app, request, query, len(raw)), receive, send)
    if rest:
        publish(f"event: message\ndata: {json.dumps(json.loads(rest))}\n\n")
    return status


def _scope(app: Any, request: dict[str, Any], query: str, length: int) -> dict[str, Any]:
    headers = {k.lower(): v for k, v in (request.get("headers") or {}).items()}
    headers |= {
        "content-type": "application/json",
        "content-length": str(length),
        "accept": "application/json, text/event-stream",
        "accept-encoding": "identity",
    }
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()],
        "client": (headers.get("x-forwarded-for", "").partition(",")[0].strip() or "127.0.0.1", 0),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
