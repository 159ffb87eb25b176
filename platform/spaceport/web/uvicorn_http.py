"""Clients under uvicorn: how much they may send before they are understood, how long they may be silent or
take nothing, and what becomes of a request whose client has gone. Mostly as Daphne and Twisted have it;
uvicorn leaves these to a proxy in front."""

from __future__ import annotations

import asyncio
import fcntl
import struct
import sys
import termios
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from spaceport.redaction import address

HEAD_BYTES = 16 * 1024  # of a request's first line and headers, or between two pieces of its body
HEADERS = 500
SOCKET_HEADERS = 128  # these two are a little below what `websockets` takes, which then fails loudly
SOCKET_LINE_BYTES = 8000
HEAD_S = 20.0  # from a request's first byte to the end of its headers
BODY_EVERY_S = 30.0  # between checks of a body, which must have grown since by this many bytes a second
BODY_BYTES_A_SECOND = 1024
LINGER_S = 10.0  # what still comes of a body that is not wanted is thrown away so long: its client reads then
GONE_S = 10.0  # an application may go on so long after its client has gone
PATIENCE_S = 30.0  # with a client that takes nothing of what it is sent


class Malformed(ValueError):
    """No request that we answer; uvicorn makes a 400 of it."""


class AccessLog:
    """Daphne's lines in the log, through what uvicorn takes for a logger."""

    def info(self, _: str, client: str, method: str, path: str, __: str, status: int) -> None:
        """One request that is being answered."""
        self.line(client, f"{method} {path}", str(status))

    def line(self, client: str, what: str, status: str = "-") -> None:
        """Written when some have come together, as Daphne's are."""
        method, _, target = what.partition(" ")
        what = f"{method} {address(target)}"
        sys.stdout.write(f'{client} - - [{datetime.now():%d/%b/%Y:%H:%M:%S}] "{what}" {status} -\n')


access = AccessLog()


class Http(HttpToolsProtocol):
    """One connection for http."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.access_logger: Any = access
        self.access_log = True
        self.active = self.loop.time()  # when something last came, or was answered
        self.task: asyncio.Task[None] | None = None
        self.in_head = self._in_body = False
        self._since = self.active  # when this head began, or the body was checked
        self._head_bytes = self._body_bytes = 0
        self._got_nowhere = 0  # bytes that came since the request, or its body, last got on

    # --- what may come --------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self.active = self.loop.time()
        self._got_nowhere += len(data)
        super().data_received(data)
        if self._got_nowhere > HEAD_BYTES and not self.transport.is_closing():
            if self.in_head:
                self.send_400_response("Too much without an end.")
            else:  # of what comes behind a body: it may be answered already
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.in_head, self._head_bytes, self._since = True, 0, self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        # Behind the body it would change the headers of a request that is being answered.
        if not self.in_head:
            return
        self._head_bytes += len(name) + len(value) + 4
        if b"_" not in name:  # Django and CGI take it for a hyphen
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self.in_head, self._in_body, self._got_nowhere = False, True, 0
        self._since, self._body_bytes = self.loop.time(), 0
        if self._head_bytes + len(self.url) > HEAD_BYTES or len(self.headers) > HEADERS:
            raise Malformed
        if not self.url.startswith(b"/") or not self.url.isascii():
            raise Malformed
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._got_nowhere = 0
        self._body_bytes += len(body)
        super().on_body(body)
        if self.flow.read_paused:  # from here on it is not the client that we wait for
            self._since, self._body_bytes = self.loop.time(), 0

    def on_message_complete(self) -> None:
        self._in_body, self._got_nowhere = False, 0
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        longest = max((len(name) + len(value) for name, value in self.headers), default=0)
        if len(self.headers) > SOCKET_HEADERS or max(longest, len(self.url)) > SOCKET_LINE_BYTES:
            self.send_400_response("Too much for a websocket's handshake.")
            return
        super().handle_websocket_upgrade()

    # --- how long ---------------------------------------------------------------------------------------

    def too_slow(self) -> bool:
        """Whether a request takes too long to come, or goes on after its answer. To be called every few
        seconds."""
        now = self.loop.time()
        if self.in_head:
            return now - self._since > HEAD_S
        if not self._in_body:
            return False
        if self.cycle is not None and self.cycle.response_complete:
            return now - self._since > LINGER_S
        if self.flow.read_paused:
            self._since, self._body_bytes = now, 0
        if now - self._since < BODY_EVERY_S:
            return False
        slow = self._body_bytes < BODY_EVERY_S * BODY_BYTES_A_SECOND
        self._since, self._body_bytes = now, 0
        return slow

    def on_response_complete(self) -> None:
        self.active = self._since = self.loop.time()
        super().on_response_complete()

    def idle_s(self) -> float:
        """How long it has had no request, in seconds; 0 while it has one."""
        has_request = self.in_head or not (self.cycle is None or self.cycle.response_complete)
        return 0.0 if has_request else self.loop.time() - self.active

    def waits_s(self) -> float:
        """How long we have waited for it to send a request, or more of one, in seconds."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or (cycle.more_body and not self.flow.read_paused):
            return self.loop.time() - self.active
        return 0.0

    @property
    def takes_nothing_more(self) -> bool:
        """Whether the unsent data for it has reached its limit."""
        return self.flow.write_paused

    # --- when it has gone -------------------------------------------------------------------------------

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self.task = self.loop.create_task(cycle.run_asgi(app))
        self.task.add_done_callback(self.tasks.discard)
        self.tasks.add(self.task)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.task is not None and not self.task.done():
            self.loop.call_later(GONE_S, self.task.cancel)


class Stalled:
    """Disconnects clients that do not read: until then an application that wants to send them more waits."""

    def __init__(self) -> None:
        self._since: dict[Any, tuple[float, int]] = {}  # connection -> when it last took of it, what is left

    def check(self, connections: Iterable[Any], now: float) -> None:
        """To be called every few seconds, with all there are."""
        before, self._since = self._since, {}
        for one in tuple(connections):
            if not (one.takes_nothing_more or one.transport.is_closing()):
                continue
            left = untaken(one.transport)
            since, at_first = before.get(one, (now, left))
            if left < at_first:
                since, at_first = now, left
            self._since[one] = since, at_first
            if now - since > PATIENCE_S:
                one.transport.abort()


def untaken(transport: asyncio.Transport) -> int:
    """Bytes that were written for a client and that its machine has not confirmed yet."""
    ours = transport.get_write_buffer_size()
    try:
        raw = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, b"\0" * 4)
    except (OSError, ValueError):
        return ours
    return ours + int(struct.unpack("i", raw)[0])
