"""One websocket with a container, both ways."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from hardware.replica_client import ReplicaClient, ReplicaError
from spaces.gateway.proxy.http import Receive, Scope, Send

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
MESSAGES_A_TURN = 50
NORMAL, GONE = 1000, 1001  # why a websocket was closed (RFC 6455)
OWN_CODES = range(3000, 5000)  # an application's own reasons


async def forward(
    client: ReplicaClient,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    address: str,
    target: str,
    headers: dict[str, str],
) -> None:
    """Connect to the container first: a visitor is accepted only where the app accepts."""
    protocols = scope.get("subprotocols") or []
    drop = {
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-extensions",
        "sec-websocket-protocol",
    }
    await receive()  # websocket.connect
    try:
        upstream = await client.websocket(
            address,
            target,
            headers={k: v for k, v in headers.items() if k not in drop},
            protocols=protocols,
            max_message_bytes=MAX_MESSAGE_BYTES,
        )
    except ReplicaError:
        await send({"type": "websocket.close", "code": 1011})
        return
    async with upstream:
        await send({"type": "websocket.accept", "subprotocol": upstream.protocol})
        both = [asyncio.ensure_future(_up(receive, upstream)), asyncio.ensure_future(_down(upstream, send))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)


async def _up(receive: Receive, upstream: aiohttp.ClientWebSocketResponse) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            code = message.get("code") or NORMAL
            await upstream.close(code=code if code == NORMAL or code in OWN_CODES else GONE)
            return
        # An empty text frame is a message too.
        if message.get("text") is not None:
            await upstream.send_str(message["text"])
        elif message.get("bytes") is not None:
            await upstream.send_bytes(message["bytes"])


async def _down(upstream: aiohttp.ClientWebSocketResponse, send: Send) -> None:
    received = 0
    async for message in upstream:
        received += 1
        if received % MESSAGES_A_TURN == 0:  # what has come already is read without a pause
            await asyncio.sleep(0)
        event: dict[str, Any] = {"type": "websocket.send"}
        if message.type == aiohttp.WSMsgType.TEXT:
            event["text"] = message.data
        elif message.type == aiohttp.WSMsgType.BINARY:
            event["bytes"] = message.data
        else:
            break
        await send(event)
    code = upstream.close_code or 1000
    await send({"type": "websocket.close", "code": code if code != 1006 else 1011})
