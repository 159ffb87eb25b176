"""How a web process ends without hurting anybody: it stops accepting (whoever else holds the listening socket
goes on), tells its sockets when to come back, and ends once the last request is answered. A second SIGTERM
ends it at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from hardware.telling import LEAVING, tell
from queueing import leaving
from queueing.consumers import goodbye
from spaceport.watch import Message, Send, sockets

#: A gradio_client gives its event up when its stream is cut, so long calls get long.
DRAIN_S = 600.0
GOODBYE_S = 3.0
LOOK_EVERY_S = 0.1
#: What was accepted just before we stopped may have a request under way.
SETTLE_S = 1.0

_tasks: set[Any] = set()


class Twisted:
    """Daphne's connections. It keeps no list of those that wait for their next request: its reactor does."""

    def __init__(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self._idle: dict[Any, float] = {}  # transport -> since when it was seen without a request

    def stop_accepting(self) -> None:
        from twisted.internet.tcp import Port

        ports: list[Any] = [reader for reader in self.reactor.getReaders() if isinstance(reader, Port)]
        for port in ports:
            port.stopListening()  # closes our descriptor only: the socket itself is the supervisor's

    def busy(self) -> bool:
        """Hang up on who has asked nothing for a while; whether anything is open still, unsent data too."""
        now = time.monotonic()
        transports = set(self._transports(self.reactor.getReaders()))
        idle = {transport for transport in transports if _asks_nothing(transport.protocol)}
        self._idle = {transport: self._idle.get(transport, now) for transport in idle}
        for transport, since in self._idle.items():
            if now - since > SETTLE_S:
                transport.loseConnection()  # after what is still to be sent
        return bool(transports) or any(self._transports(self.reactor.getWriters()))

    @staticmethod
    def _transports(those: Iterable[Any]) -> Iterable[Any]:
        from twisted.internet.tcp import Server

        return (one for one in those if isinstance(one, Server))


def _asks_nothing(protocol: Any) -> bool:
    channel = getattr(protocol, "_channel", None)  # absent: it became a websocket
    return channel is not None and not channel.requests


class Leaving:
    """The end of this process, from SIGTERM to the server's own end."""

    def __init__(self) -> None:
        self.requests = 0  # http requests whose application runs
        self._loop: asyncio.AbstractEventLoop | None = None
        self._before: Any = signal.SIG_DFL

    def prepare(self) -> None:
        """Take SIGTERM from the server, which by itself would cut every connection. On its running loop."""
        if self._loop is not None or threading.current_thread() is not threading.main_thread():
            return
        self._loop = asyncio.get_running_loop()
        self._before = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, self._handle)

    def closing(self, send: Send) -> Send:
        """The same; once we leave, its client is told to ask nothing more on this connection."""

        async def sending(message: Message) -> None:
            if leaving.begun() and message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        return sending

    def _handle(self, number: int, _: object) -> None:
        if leaving.begun():
            self._end(number)
            return
        leaving.begin()
        assert self._loop is not None
        _tasks.add(asyncio.run_coroutine_threadsafe(self._leave(number), self._loop))

    async def _leave(self, number: int) -> None:
        server = Twisted()
        try:
            server.stop_accepting()
            tell(LEAVING)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await goodbye()
            deadline = time.monotonic() + DRAIN_S
            while self._serves(server) and time.monotonic() < deadline:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(LOOK_EVERY_S)  # Twisted tells nobody
        finally:
            self._end(number)

    def _serves(self, server: Twisted) -> bool:
        return server.busy() or bool(self.requests or sockets["websocket"])

    def _end(self, number: int) -> None:
        if callable(self._before):
            self._before(number, None)
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


def when_running(act: Callable[[], None]) -> None:
    """Call it as soon as the server's loop runs, where this process is a server: Daphne imports the
    application before."""
    if "daphne.server" in sys.modules and "twisted.internet.reactor" in sys.modules:
        from twisted.internet import reactor

        later: Any = reactor
        later.callLater(0, act)
