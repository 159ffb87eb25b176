"""The web process served by uvicorn, on uvloop: its start, with Daphne's limits, and what `leaving` needs to
know of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from spaceport.web.graceful_shutdown import SETTLE_S
from spaceport.web.monitor import App, Receive, Scope, Send
from spaceport.web.uvicorn_http import Http, Stalled
from spaceport.web.uvicorn_ws import Socket

BACKLOG = 4096  # as in `up`: uvicorn calls listen() again, on the same socket
IDLE_S = 60  # as Twisted: a client that sends nothing, though it is its turn
PING_EVERY_S = 20.0  # these three are Daphne's
PONG_WITHIN_S = 30.0
MAX_MESSAGE_BYTES = 1024 * 1024
CHECK_EVERY_TICKS = 20  # of 0.1 s


def serve(*, host: str, port: int, fd: int | None = None) -> None:
    """Serve until the process is to end: at this address, or on the listening socket it was given."""
    from spaceport.asgi import application, begin

    Server(configured(application), begin).run(sockets=[_listening(host, port, fd)])


def _listening(host: str, port: int, fd: int | None) -> socket.socket:
    if fd is not None:
        return socket.socket(fileno=fd)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def configured(application: App) -> uvicorn.Config:
    """How uvicorn serves an application here."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # not every malformed request of a stranger
    return uvicorn.Config(
        _quiet(application),
        interface="asgi3",
        lifespan="off",
        loop="uvloop",
        http=Http,
        ws=Socket,
        ws_per_message_deflate=False,  # as Daphne; each compressor takes some 100 KiB
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=PING_EVERY_S,
        ws_ping_timeout=PONG_WITHIN_S,
        log_config=None,
        proxy_headers=False,  # `accounts.addresses` decides which headers to trust
        server_header=False,
        date_header=False,  # as Daphne: `spaces.api.runtime`, which sets one, would have two
        timeout_keep_alive=IDLE_S,
        backlog=BACKLOG,
    )


def _quiet(application: App) -> App:
    """The same; that it was cancelled is no error: its client has gone, or this process ends."""

    async def quiet(scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await application(scope, receive, send)

    return quiet


class Server(uvicorn.Server):
    """One that announces its start to the application, ends as `graceful_shutdown` directs, and watches its
    clients."""

    def __init__(self, config: uvicorn.Config, begin: Callable[[Server], None]) -> None:
        super().__init__(config)
        self._begin = begin
        self._stalled = Stalled()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._begin(self)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End now. (uvicorn's own raises the signal again at the end, which loses the end of the log.)"""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what is cut now is no error
        self.should_exit = True
        self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        if counter % CHECK_EVERY_TICKS == 0:
            self._stalled.check(self.server_state.connections, time.monotonic())
            for connection in tuple(self.server_state.connections):
                if isinstance(connection, Http) and (connection.waits_s() > IDLE_S or connection.too_slow()):
                    connection.transport.close()
        return await super().on_tick(counter)

    # --- `leaving.Connections` ------------------------------------------------------------------------

    def stop_accepting(self) -> None:
        """Closes our descriptor only: the socket itself is the supervisor's."""
        for server in self.servers:
            server.close()

    def busy(self) -> bool:
        """Close idle connections; whether anything is still open, unsent data included."""
        for connection in tuple(self.server_state.connections):
            if isinstance(connection, Http) and connection.idle_s() > SETTLE_S:
                connection.transport.close()
        return bool(self.server_state.connections)
