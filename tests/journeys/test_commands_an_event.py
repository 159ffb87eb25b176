"""What an event costs Redis, counted at the server: the queue stays fast only while this number stays low."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import redis

from queueing import keys
from tests.bench.client import load
from tests.platform_server import APPS, Platform

SPACE = "alice/counted"
CLIENTS = 20
#: Joining, claiming, telling the start, ending, and noting what the client has are five; places in line, the
#: dispatcher's lease and the stream's begin are shared by many events.
MOST = 10


@pytest.fixture(scope="module")
def base(process_platform: Platform) -> str:
    assert process_platform.push(SPACE, process_platform.token("alice"), APPS / "everything") == "RUNNING"
    return f"{process_platform.run_url(SPACE)}gradio_api"


def server(home: Path) -> redis.Redis:
    lines = (line.split(None, 1) for line in (home / "valkey" / "valkey.conf").read_text().splitlines())
    config = dict(line for line in lines if len(line) == 2)
    return redis.Redis(port=int(config["port"]), password=config["requirepass"])


async def test_redis_commands_an_event_are_few(process_platform: Platform, base: str) -> None:
    counted: list[str] = []
    client = server(process_platform.home)

    def listen() -> None:
        with client.monitor() as monitor:
            watching.set()
            for seen in monitor.listen():
                if seen["command"] == "PING over":
                    return
                # What scripts do inside is one command of theirs; other Spaces' and Celery's are not ours.
                if seen["client_type"] != "lua" and f"{{{space_id}}}" in seen["command"]:
                    counted.append(seen["command"].split(None, 1)[0].upper())

    space_id = int(client.get(keys.name(SPACE)) or 0)
    assert space_id
    watching = threading.Event()
    thread = threading.Thread(target=listen)
    thread.start()
    watching.wait(10)
    measured = await load(base, 0, clients=CLIENTS, seconds=3)
    client.execute_command("PING", "over")
    thread.join(10)
    events = len(measured.latencies)
    assert measured.failed == 0
    assert events > CLIENTS
    assert counted.count("EVALSHA") >= 2 * events, "the counter sees the queue's scripts"
    assert len(counted) / events < MOST, sorted((counted.count(name), name) for name in set(counted))
