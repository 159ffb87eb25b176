"""The commands that a Space's events cost Redis, as the server itself sees them (MONITOR)."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from queueing.store import keys
from tests.platform_server import Platform

TAG = re.compile(r"{(\d+)}")  # of a Space, in its keys
OVER = "sp:counted"


@contextmanager
def counted(platform: Platform, *spaces: str) -> Iterator[list[str]]:
    """The names of all commands about these Spaces, sent while the block lasts; complete at its end."""
    names: list[str] = []
    with platform.valkey() as client:
        ours = set()
        for space in spaces:
            space_id = int(client.get(keys.name(space)) or 0)
            assert space_id, f"{space} is not published"
            ours.add(str(space_id))
        watching = threading.Event()

        def listen() -> None:
            with client.monitor() as monitor:
                watching.set()
                for seen in monitor.listen():
                    if seen["command"] == f"PING {OVER}":
                        return
                    # What scripts do inside is one command; other Spaces' and Celery's are not ours.
                    if seen["client_type"] != "lua" and not ours.isdisjoint(TAG.findall(seen["command"])):
                        names.append(seen["command"].split(None, 1)[0].upper())

        thread = threading.Thread(target=listen, name="monitor", daemon=True)
        thread.start()
        assert watching.wait(10)
        try:
            yield names
        finally:
            client.execute_command("PING", OVER)
            thread.join(10)
