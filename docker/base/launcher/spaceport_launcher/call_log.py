"""Calls and their messages, kept over the end of any connection, and the connection that reads them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from spaceport_launcher.slot_limiter import Ticket

KEPT_BYTES = 16 * 1024 * 1024  # messages kept of one call


class Connection:
    """One dispatcher's connection: its lines wait here until they are written."""

    def __init__(self, send: Callable[[Any], Awaitable[None]], number: int) -> None:
        self._send = send
        self.number = number  # of this app's connections, from the first on
        self._lines: list[bytes] = []
        self._more = asyncio.Event()

    def send(self, line: bytes) -> None:
        self._lines.append(line)
        self._more.set()

    async def write(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            lines, self._lines = self._lines, []
            await self._send({"type": "http.response.body", "body": b"".join(lines), "more_body": True})


class Call:
    """One call, from its order until it is forgotten."""

    def __init__(self, call_id: str) -> None:
        self.id = call_id
        self.number = 0
        self.messages: deque[tuple[int, bytes, bytes]] = deque()
        self.bytes = 0
        self.reader: Connection | None = None
        self.work: Work | None = None
        self.ended = False
        self.unread_since = time.monotonic()

    def publish(self, kind: bytes, payload: bytes) -> None:
        if self.ended:
            return
        self.ended = kind != b"m"
        if self.ended and self.work is not None:
            kind += b"%d" % (self.work.ticket.inside_s * 1000)
        self.number += 1
        self.messages.append((self.number, kind, payload))
        self.bytes += len(payload)
        while self.bytes > KEPT_BYTES and len(self.messages) > 1:
            self.bytes -= len(self.messages.popleft()[2])
        if self.reader is not None:
            self.reader.send(self._line(self.number, kind, payload))

    def attach(self, reader: Connection, after: int) -> None:
        """Send all messages after number `after` to `reader`, now and as they come."""
        self.reader = reader
        for number, kind, payload in self.messages:
            if number > after:
                reader.send(self._line(number, kind, payload))

    def _line(self, number: int, kind: bytes, payload: bytes) -> bytes:
        return b"%s %d %s %s\n" % (self.id.encode(), number, kind, payload)


class Work:
    """What one task does for a call, or for all calls of a batch."""

    def __init__(self, calls: list[Call], events: list[Any], ticket: Ticket) -> None:
        self.calls, self.events, self.ticket = calls, events, ticket
        self.task: asyncio.Task[None] | None = None
        self.stoppable = True  # ending its task ends its work: not where that is in a thread
        self.starts: list[tuple[Call, Any]] = []  # messages to publish when it goes into its function
        self.back = False  # it did not begin, and is not to
        for call in calls:
            call.work = self
