"""Connections to replicas: to addresses only, with incoming data bounded before it is parsed further."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

#: Interim answers (1xx) that have come and were not taken; honest servers send few.
HEADS_AT_ONCE = 16
#: The same for websocket messages: this many may wait; more of them in one piece are a flood.
FRAMES_WAITING, FRAMES_AT_ONCE = 1000, 4000
#: Of the socket, so that one turn of the event loop parses no more than about this.
RECEIVE_BYTES = 64 * 1024


class _NoNames(aiohttp.abc.AbstractResolver):
    """Refuses names: replicas have addresses, so nothing is resolved."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[aiohttp.abc.ResolveResult]:
        raise OSError(f"{host} is no address of a replica.")

    async def close(self) -> None:
        """Nothing is open."""


class _Connection(ResponseHandler):
    """Ends where more interim answers or websocket messages come at once than are taken: they cost memory
    and the event loop's time, and no limit of the library counts them."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        waiting = getattr(self._payload, "_buffer", ()) if self._payload_parser is not None else ()
        if len(waiting) > FRAMES_WAITING and not self._reading_paused:
            self.pause_reading()
        if len(self._buffer) > HEADS_AT_ONCE or len(waiting) > FRAMES_AT_ONCE:
            error = HttpProcessingError(message="too many at once")
            self.set_exception(error)
            if waiting:
                waiting.clear()
                self._payload.set_exception(error)
            if self.transport is not None:
                self.transport.abort()


class Connector(aiohttp.TCPConnector):
    """For one event loop."""

    def __init__(self, keepalive_s: float) -> None:
        super().__init__(
            limit=0, keepalive_timeout=keepalive_s, resolver=_NoNames(), socket_factory=_small_socket
        )
        self._factory = partial(_Connection, loop=self._loop)  # type: ignore[assignment]


def _small_socket(about: Any) -> socket.socket:
    family, kind, protocol, _, _ = about
    made = socket.socket(family=family, type=kind, proto=protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    return made
