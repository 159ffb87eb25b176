"""The commands that a Space's events cost Redis, as the server itself sees them (MONITOR)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from queueing import keys
from tests.platform_server import Platform

OVER = "sp:counted"


@contextmanager
def counted(platform: Platform, space: str) -> Iterator[list[str]]:
    """The names of all commands about this Space that are sent while the block lasts; complete at its end."""
    names: list[str] = []
    with platform.valkey() as client:
        space_id = int(client.get(keys.name(space)) or 0)
        assert space_id, f"{space} is not published"
        watching = threading.Event()

        def listen() -> None:
            with client.monitor() as monitor:
                watching.set()
                for seen in monitor.listen():
                    if seen["command"] == f"PING {OVER}":
                        return
                    # What scripts do inside is one command; other Spaces' and Celery's are not ours.
                    if seen["client_type"] != "lua" and f"{{{space_id}}}" in seen["command"]:
                        names.append(seen["command"].split(None, 1)[0].upper())

        thread = threading.Thread(target=listen, name="monitor", daemon=True)
        thread.start()
        assert watching.wait(10)
        try:
            yield names
        finally:
            client.execute_command("PING", OVER)
            thread.join(10)
