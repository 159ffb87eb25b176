"""The app's MCP server, Gradio's `gradio_api/mcp`: tools for language models. What only reads passes; a
request that runs a function waits in the Space's queue like any other, and the app's own server then answers
it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hardware.replica_client import target_of
from infra.json_bodies import BadJson, parse
from queueing.errors import ApiClosed, OldTransport, QueueError, Refused, UnknownEvent
from queueing.events import encode, new_channel
from queueing.routes import MCP
from spaces.gateway import paths, status_pages
from spaces.gateway.identity import caller as callers
from spaces.gateway.proxy import headers as head
from spaces.gateway.proxy import http

if TYPE_CHECKING:
    from queueing.routes import Route
    from spaces.gateway.context import GatewayContext
    from spaces.gateway.proxy.http import Receive, Scope, Send
    from spaces.gateway.request import SpaceRequest

#: Methods that run functions of the app.
CALLS = {"tools/call", "resources/read", "prompts/get"}
REFUSED = -32000  # JSON-RPC: the server's own errors begin here
NO_JSON = -32700
WAITING = b": waiting\n\n"


async def handle(
    context: GatewayContext, request: SpaceRequest, scope: Scope, receive: Receive, send: Send
) -> bool:
    """Answer a request to the app's MCP server; False for those that go straight to it.

    Raises:
        QueueError, http.TooLarge
    """
    posts = scope["method"] == "POST"
    closed = await context.closed_for(request)
    if closed and not posts:
        raise ApiClosed
    if _old_transport(request):
        raise OldTransport
    if not posts:
        return False
    try:
        message = parse(await http.read_body(receive, context.event_bytes), object)
    except BadJson:
        await _error(send, None, NO_JSON, "The body is no JSON.")
        return True
    try:
        if closed:
            raise ApiClosed
        route = paths.routed(await context.running(request.route), request.path)
        if not route.address:
            raise Refused(status_pages.sentence(route))
        if any(_method(m) in CALLS for m in _each(message)):
            await _queue(context, request, route, message, scope, receive, send)
        else:
            await _pass_on(context, request, route, message, scope, receive, send)
    except QueueError as error:
        # MCP clients show nobody the text of a refused POST, but the text of a JSON-RPC error.
        await _error(send, _id_of(message), REFUSED, str(error))
    return True


def _old_transport(request: SpaceRequest) -> bool:
    path = paths.loosely(request.inner_path or "")
    return path in {"/mcp/sse", "/mcp/messages"}


def _each(message: Any) -> list[Any]:
    return message if isinstance(message, list) else [message]


def _method(message: Any) -> Any:
    return message.get("method") if isinstance(message, dict) else None


def _id_of(message: Any) -> Any:
    return next((m["id"] for m in _each(message) if isinstance(m, dict) and "id" in m), None)


async def _error(send: Send, request_id: Any, code: int, text: str) -> None:
    await http.respond(send, 200, _error_of(request_id, code, text), "application/json")


def _error_of(request_id: Any, code: int, text: str) -> bytes:
    return encode({"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": text}})


# --- what runs a function ------------------------------------------------------------------------------


async def _queue(
    context: GatewayContext,
    request: SpaceRequest,
    route: Route,
    message: Any,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    channel = new_channel()
    body = {
        "data": [],
        "fn_index": MCP,
        "session_hash": channel,
        "mcp": message,
        "query": scope["query_string"].decode("latin-1"),
    }
    caller = await context.callers.replay(request, scope)
    if route.others:  # its files are where its sender's uploads went
        caller = replace(caller, home=str(route.replica_id))
    accepted = await context.gradio.enqueue(
        route, body, caller, channel=channel, fn=MCP, function=None, present=False
    )
    await context.visited(route)
    answer = _answer(context, route, channel, accepted.event_id, _id_of(message))
    async with contextlib.aclosing(answer):  # type: ignore[type-var]
        await http.stream(send, receive, answer)


async def _answer(
    context: GatewayContext, route: Route, channel: str, event_id: str, request_id: Any
) -> AsyncIterator[bytes]:
    """The app's answer as it comes; a sign of life before. A disconnect frees the place."""
    ended = False
    try:
        yield WAITING
        async for message in context.gradio.event_messages(route, event_id):
            match message.get("msg"):
                case "answer":
                    yield str(message["text"]).encode()
                case "process_completed":
                    ended = True
                    if not message.get("success"):
                        text = str((message.get("output") or {}).get("error") or "The call failed.")
                        yield b"event: message\ndata: " + _error_of(request_id, REFUSED, text) + b"\n\n"
                case "heartbeat":
                    yield WAITING
    finally:
        if not ended:
            context.spawn(_give_up(context, route, channel, event_id))


async def _give_up(context: GatewayContext, route: Route, channel: str, event_id: str) -> None:
    with contextlib.suppress(UnknownEvent):  # it ended just now
        await context.gradio.cancel(route, {"event_id": event_id, "session_hash": channel})


# --- what only reads -----------------------------------------------------------------------------------


async def _pass_on(
    context: GatewayContext,
    request: SpaceRequest,
    route: Route,
    message: Any,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Forward the parsed message, not the bytes that came: the app could parse those differently."""
    raw, sent = encode(message), False

    async def again() -> Any:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": raw, "more_body": False}

    headers = callers.to_container(request, scope)
    headers.pop(head.MARK, None)  # it was parsed: it runs nothing
    headers["content-length"] = str(len(raw))
    await http.forward(
        context.http,
        scope,
        again,
        send,
        address=route.address,
        target=target_of(f"{route.app.prefix}/mcp/", scope["query_string"]),
        headers=headers,
        door=request.door,
        has_body=True,
    )
