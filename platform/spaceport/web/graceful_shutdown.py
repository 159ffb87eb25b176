"""Ends a web process without a failed request: it stops accepting (other holders of the listening socket go
on), sends its sockets a moment to come back, and ends once the last request is answered. A second SIGTERM
ends it at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from infra import shutdown
from infra.notify import LEAVING, notify
from spaceport.web.monitor import Message, Send, sockets

#: A gradio_client gives its event up when its stream is cut, so long calls get long.
DRAIN_S = 600.0
GOODBYE_S = 3.0
CHECK_EVERY_S = 0.1
#: What was accepted just before we stopped may have a request under way.
SETTLE_S = 1.0

_tasks: set[Any] = set()


class Connections(Protocol):
    """The connections of whatever server runs the application."""

    def stop_accepting(self) -> None:
        """Close this process's copy of the listening socket."""

    def busy(self) -> bool:
        """Close idle connections; whether anything is still open, unsent data included."""


class Leaving:
    """The end of this process, from SIGTERM to the server's own end."""

    def __init__(self, close_sockets: Callable[[], Awaitable[None]]) -> None:
        self._close_sockets = close_sockets
        self.requests = 0  # http requests whose application runs
        self._connections: Connections | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._before: Any = signal.SIG_DFL

    def prepare(self, connections: Connections | None = None) -> None:
        """Take SIGTERM from the server, which by itself would cut every connection. On its running loop."""
        if self._loop is not None or threading.current_thread() is not threading.main_thread():
            return
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._before = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, self._handle)

    def closing(self, send: Send) -> Send:
        """The same; once we leave, the answer carries `Connection: close`."""

        def sending(message: Message) -> Awaitable[None]:
            if shutdown.begun() and message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            return send(message)

        return sending

    def _handle(self, number: int, _: object) -> None:
        if shutdown.begun():
            self._end(number)
            return
        shutdown.begin()
        assert self._loop is not None
        _tasks.add(asyncio.run_coroutine_threadsafe(self._leave(number), self._loop))

    async def _leave(self, number: int) -> None:
        try:
            if self._connections is not None:
                self._connections.stop_accepting()
            notify(LEAVING)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await self._close_sockets()
            deadline = time.monotonic() + DRAIN_S
            while self._serves() and time.monotonic() < deadline:  # noqa: ASYNC110  # nothing to wait on
                await asyncio.sleep(CHECK_EVERY_S)
        finally:
            self._end(number)

    def _serves(self) -> bool:
        open_still = self._connections is not None and self._connections.busy()
        return open_still or bool(self.requests or sockets["websocket"])

    def _end(self, number: int) -> None:
        if callable(self._before):
            self._before(number, None)
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
