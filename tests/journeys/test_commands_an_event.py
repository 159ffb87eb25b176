"""What an event costs Redis, counted at the server: the queue stays fast only while this number stays low."""

from __future__ import annotations

import pytest

from tests.bench.client import load
from tests.bench.commands import counted
from tests.platform_server import APPS, Platform

SPACE = "alice/counted"
CLIENTS = 20
#: Joining, claiming, telling the start, ending, and noting twice what the client was told are six; places in
#: line and the dispatcher's lease are shared by many events.
MOST = 10
#: A stream's begin and end: on a fast machine many events share one.
STREAM = 8


@pytest.fixture(scope="module")
def base(process_platform: Platform) -> str:
    assert process_platform.push(SPACE, process_platform.token("alice"), APPS / "everything") == "RUNNING"
    return f"{process_platform.run_url(SPACE)}gradio_api"


async def test_redis_commands_an_event_are_few(process_platform: Platform, base: str) -> None:
    with counted(process_platform, SPACE) as names:
        measured = await load(base, 0, clients=CLIENTS, seconds=3)
    events = len(measured.latencies)
    assert measured.failed == 0
    assert events > CLIENTS
    assert names.count("EVALSHA") >= 2 * events, "the counter sees the queue's scripts"
    streams = names.count("SUBSCRIBE")
    assert streams >= CLIENTS
    assert (len(names) - STREAM * streams) / events < MOST, sorted(
        (names.count(name), name) for name in set(names)
    )
