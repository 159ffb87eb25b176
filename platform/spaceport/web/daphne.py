"""The web process served by Daphne, the default: its start, and what `leaving` needs to know of it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import uvloop

from spaceport.web.bodies import Limits
from spaceport.web.graceful_shutdown import SETTLE_S


def serve(*, host: str, port: int, fd: int | None = None) -> None:
    """Serve until the process is to end: at this address, or on the listening socket it was given."""
    # Daphne makes its loop on import. asyncio's own costs more CPU when writers come and go.
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    from daphne.cli import CommandLineInterface

    where = ["--bind", host, "--port", str(port)] if fd is None else ["--fd", str(fd)]
    CommandLineInterface().run([*where, "--no-server-name", "spaceport.asgi:application"])


class Twisted:
    """Daphne's connections. It keeps no list of idle connections: its reactor does."""

    def __init__(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self._idle: dict[Any, float] = {}  # transport -> since when it was seen without a request

    def stop_accepting(self) -> None:
        """Closes our descriptor only: the socket itself is the supervisor's."""
        from twisted.internet.tcp import Port

        ports: list[Any] = [reader for reader in self.reactor.getReaders() if isinstance(reader, Port)]
        for port in ports:
            port.stopListening()

    def busy(self) -> bool:
        """Close idle connections; whether anything is still open, unsent data included."""
        now = time.monotonic()
        transports = set(self._transports(self.reactor.getReaders()))
        idle = {transport for transport in transports if _is_idle(transport.protocol)}
        self._idle = {transport: self._idle.get(transport, now) for transport in idle}
        for transport, since in self._idle.items():
            if now - since > SETTLE_S:
                transport.loseConnection()  # after what is still to be sent
        return bool(transports) or any(self._transports(self.reactor.getWriters()))

    @staticmethod
    def _transports(those: Iterable[Any]) -> Iterable[Any]:
        from twisted.internet.tcp import Server

        return (one for one in those if isinstance(one, Server))


def _is_idle(protocol: Any) -> bool:
    requests = getattr(protocol, "requests", None)  # absent: it became a websocket
    return requests is not None and not requests


def when_running(act: Callable[[Twisted], None], limits: Limits) -> None:
    """Call it as soon as the server's loop runs, where this process is a Daphne: that imports the application
    before it makes anything of its own. From its clients it takes no more than `limits`."""
    if "daphne.server" in sys.modules and "twisted.internet.reactor" in sys.modules:
        from daphne import server
        from twisted.internet import reactor

        from spaceport.web.daphne_http import factory

        server.HTTPFactory = factory(limits)  # it has no setting for it
        later: Any = reactor
        later.callLater(0, lambda: act(Twisted()))
