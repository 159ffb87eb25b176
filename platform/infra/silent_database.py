"""A PostgreSQL that neither answers nor refuses: its machine is gone, a network drops what is sent to it, its
processes stand still. libpq would wait for as long as TCP does, which is minutes, or for ever.

psycopg2 lets us wait in its place. A connection has to be there in time. A statement may take as long as it
takes, but after a while another connection is tried: where that one gets no answer either, this one is given
up. So work that is slow goes on, and a statement that no server works on ends.
"""

from __future__ import annotations

import select
import time
from typing import Any

import psycopg2
from psycopg2 import extensions

#: For a connection, unless the database's URL has a `connect_timeout`.
CONNECT_S = 5
#: A statement takes this long before the server is tried, and twice as long each time after that.
PATIENCE_S = 2.0
#: After a wait in vain, further connections to this server fail at once for so long.
REMEMBERED_S = 1.0
CONNECTED = 0  # libpq's CONNECTION_OK

_silent: dict[tuple[str, str], float] = {}  # host and port -> until when it counts as such


class NoAnswer(psycopg2.OperationalError):  # type: ignore[misc]
    """The server neither answers nor refuses."""


def watch() -> None:
    """Install this wait for all connections of this process."""
    extensions.set_wait_callback(_wait)


def _wait(connection: Any) -> None:
    """psycopg2 calls this for each connection and statement that has been sent.

    Raises:
        NoAnswer: psycopg2 closes the connection.
    """
    if connection.info.status == CONNECTED:
        patience_s = PATIENCE_S
        while not _done(connection, patience_s):
            _try_server(connection)
            patience_s *= 2
        return
    parameters = connection.info.dsn_parameters
    server = parameters.get("host", ""), parameters.get("port", "")
    if _silent.get(server, 0.0) > time.monotonic():
        raise NoAnswer("PostgreSQL did not answer a moment ago")
    limit_s = int(parameters.get("connect_timeout") or 0) or CONNECT_S
    if not _done(connection, limit_s):
        _silent[server] = time.monotonic() + REMEMBERED_S
        raise NoAnswer(f"PostgreSQL did not answer within {limit_s} s")


def _try_server(connection: Any) -> None:
    try:
        psycopg2.connect(**connection.info.dsn_parameters, password=connection.info.password).close()
    except NoAnswer:
        raise
    except psycopg2.Error:
        pass  # it has answered


def _done(connection: Any, limit_s: float) -> bool:
    """Whether the server had answered in full by then."""
    late = time.monotonic() + limit_s
    while (state := connection.poll()) != extensions.POLL_OK:
        poll = select.poll()  # `select.select` knows no descriptors above 1024
        poll.register(connection, select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
        left_s = late - time.monotonic()
        if left_s <= 0 or not poll.poll(left_s * 1000):
            return False
    return True
