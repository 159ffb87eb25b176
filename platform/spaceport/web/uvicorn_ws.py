"""Websockets under uvicorn: with Daphne's lines in the log, and small, since many wait and few speak."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from infra.mailbox import Inbox
from spaceport.web.uvicorn_http import access

ACCEPT_S = 5.0  # Daphne's: an application has so long to accept a socket or refuse it


class Gate:
    """Shut while a client has much to take yet: in place of an asyncio.Event, as `infra.mailbox`."""

    __slots__ = ("_shut",)

    def __init__(self) -> None:
        self._shut: asyncio.Future[None] | None = None

    def is_set(self) -> bool:
        return self._shut is None

    def set(self) -> None:
        if self._shut is not None:
            self._shut.set_result(None)
            self._shut = None

    def clear(self) -> None:
        if self._shut is None:
            self._shut = asyncio.get_running_loop().create_future()

    async def wait(self) -> None:
        while self._shut is not None:
            await asyncio.shield(self._shut)  # a cancelled waiter does not open it


class Socket(WebSocketsSansIOProtocol):
    """One websocket."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.queue: Any = Inbox()
        self.writable: Any = Gate()

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        event.headers.clear()  # kept for as long as the socket is open; `scope` has its own
        access.line(self._client(), f"WSCONNECTING {event.path.partition('?')[0]}")
        self.loop.call_later(ACCEPT_S, self._give_up)

    def _give_up(self) -> None:
        if not (self.handshake_complete or self.disconnected):
            self.send_500_response()
            self.transport.close()

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.accept":
            self.response.headers.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        path = self.scope["path"] if hasattr(self, "scope") else "-"
        access.line(self._client(), f"WSDISCONNECT {quote(path)}")

    @property
    def takes_nothing_more(self) -> bool:
        """Whether the unsent data for it has reached its limit."""
        return not self.writable.is_set()

    def _client(self) -> str:
        return "{}:{}".format(*self.client) if self.client else "-"
