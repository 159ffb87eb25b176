"""How an endpoint of a Gradio 3 app is called: one websocket per event, closed after its final message.

The app asks for the event's hash, then for its data; both are replayed. Its own `estimation` concerns its
own queue, which is always empty, and is dropped (contract measured on gradio 3.35 and 3.50).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

import aiohttp

from hardware.replica_client import BadAnswer, Unreachable, target_of
from queueing import app_messages
from queueing.app_messages import Message, NotUnderstood, ended
from queueing.dispatch.backends.base import AppFault, CallRefused
from queueing.dispatch.backends.gradio_sse import GradioSseClient
from queueing.errors import ContainerDied
from queueing.events import encode

if TYPE_CHECKING:
    from hardware.replica_client import ReplicaClient
    from queueing.events import Event
    from queueing.routes import Route


class Gradio3Client:
    """One replica's Gradio 3 app."""

    def __init__(self, http: ReplicaClient, route: Route) -> None:
        self.http = http
        self.route = route
        self.app_ids: dict[str, str] = {}  # Gradio 3 has no ids of events
        self._direct = GradioSseClient(http, route)
        self._sockets: dict[str, aiohttp.ClientWebSocketResponse] = {}
        self._cancelled: set[str] = set()

    async def call(self, event: Event) -> AsyncIterator[Message]:
        """The app's messages about this event; ends after the final one.

        Raises:
            CallRefused: the app did not take it.
            ContainerDied: the connection broke and the event's end will never arrive.
        """
        try:
            socket = await self.http.websocket(
                self.route.address,
                self._target(event),
                headers=_headers(event),
                max_message_bytes=self.http.limits.message_bytes,  # files travel inside, as base64
            )
        except BadAnswer as error:
            raise AppFault(str(error)) from error
        except Unreachable as error:
            raise ContainerDied from error
        self._sockets[event.id] = socket
        try:
            async with socket:
                async for message in self._exchange(socket, event):
                    yield message
        except NotUnderstood as error:
            raise AppFault(str(error)) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ContainerDied from error
        finally:
            self._sockets.pop(event.id, None)
            self._cancelled.discard(event.id)

    async def _exchange(
        self, socket: aiohttp.ClientWebSocketResponse, event: Event
    ) -> AsyncIterator[Message]:
        session_hash = event.body.get("session_hash") or event.id
        async for frame in socket:
            if frame.type == aiohttp.WSMsgType.ERROR and isinstance(frame.data, aiohttp.WebSocketError):
                is_large = frame.data.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
                text = self.http.limits.too_large if is_large else app_messages.NOT_UNDERSTOOD
                raise AppFault(text)
            if frame.type != aiohttp.WSMsgType.TEXT:
                break
            message = app_messages.parse(frame.data)
            match message.msg:
                case "send_hash":
                    await _send(socket, {"fn_index": int(event.fn), "session_hash": session_hash})
                case "send_data":
                    await _send(socket, {**event.body, "session_hash": session_hash})
                case "estimation":
                    continue
                case "queue_full":
                    raise CallRefused({"error": "The app itself refuses more events: its queue is full."})
                case "process_completed":
                    yield message
                    return
                case _:
                    yield message
        if event.id in self._cancelled:  # the app itself never reports it
            yield ended({}, success=True)
            return
        raise ContainerDied

    async def batch(self, events: Sequence[Event]) -> list[dict[str, Any]]:
        """One direct call for all of them, which Gradio 3 takes like its successors.

        Raises:
            CallRefused, ContainerDied
        """
        return await self._direct.batch(events)

    async def cancel(self, event: Event) -> None:
        """End a running generator: the app stops it when its socket closes, after the present step."""
        socket = self._sockets.get(event.id)
        if socket is None:
            return
        self._cancelled.add(event.id)
        body = {"session_hash": event.body.get("session_hash") or event.id, "fn_index": int(event.fn)}
        await self._direct.notify("/reset", body)
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, asyncio.CancelledError):
            await socket.close()

    def _target(self, event: Event) -> str:
        query = (event.request.get("query") or "").encode("latin-1", "replace")
        return target_of(f"{self.route.app.prefix}/queue/join", query)


async def _send(socket: aiohttp.ClientWebSocketResponse, value: dict[str, Any]) -> None:
    await socket.send_str(encode(value).decode())


def _headers(event: Event) -> dict[str, str]:
    """The visitor's own headers, replayed, but for those that belong to the visitor's own socket."""
    headers = event.request.get("headers") or {}
    return {name: value for name, value in headers.items() if not name.startswith("sec-websocket-")}
