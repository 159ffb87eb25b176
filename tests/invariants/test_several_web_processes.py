"""Two web processes behind one port: each has its share of the visitors, and what one was told holds in the
other. What becomes of one is noticed by its own visitors only, and they move to the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests

from tests.invariants.test_thousand_sockets import SPACE, Held, Page, in_line
from tests.platform_server import APPS, WEB, Platform, prepared_home, running
from tests.sockets import http
from tests.waiting import eventually, wait_until

__all__ = ["http"]

VISITORS = 60


@pytest.fixture(scope="module")
def here() -> Iterator[Platform]:
    settings = {"SPACEPORT_WEB_PROCESSES": "2"}
    with prepared_home() as home, running(Platform("process", home, settings=settings)) as platform:
        wait_until(lambda: len(reported(platform)) == 2, "both serve")
        yield platform


@pytest.fixture(scope="module")
def space(here: Platform) -> str:
    token = here.token("alice")
    assert here.push(SPACE, token, APPS / "gate") == "RUNNING"
    return token


@pytest.fixture
async def held(here: Platform, space: str, tmp_path: Path) -> AsyncIterator[Held]:
    held = Held(here, space, tmp_path / "gate")
    yield held
    await held.clear()


def reported(platform: Platform) -> set[str]:
    """The web processes in the metrics."""
    admin = {"Authorization": f"Bearer {platform.token('admin')}"}
    lines = requests.get(f"{platform.url}/metrics", headers=admin, timeout=10).text.splitlines()
    return {line.split('"')[1] for line in lines if line.startswith("spaceport_web_event_loop_lag_seconds{")}


def visitors(platform: Platform) -> list[int]:
    """How many connections each web process holds."""
    inodes = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == platform.port and fields[3] == "01":  # established
            inodes[f"socket:[{fields[9]}]"] = 1
    counts: Counter[int] = Counter()
    for pid in platform.pids(WEB):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                counts[pid] += inodes.get(str(file.readlink()), 0)
    return sorted(counts.values())


async def test_both_have_their_share_of_those_who_come_together(
    held: Held, http: aiohttp.ClientSession
) -> None:
    sockets = await asyncio.gather(*(http.ws_connect(held.url) for _ in range(200)))
    least, most = visitors(held.platform)
    print(f"{least} and {most}")
    assert least > most / 3
    for socket in sockets:
        await socket.close()


async def test_who_was_with_a_killed_process_moves_and_the_others_notice_nothing(
    held: Held, http: aiohttp.ClientSession
) -> None:
    runs, pages = await in_line(http, held, VISITORS)
    killed, other = sorted(held.platform.pids(WEB))
    os.kill(killed, signal.SIGKILL)
    while len(held.platform.pids(WEB)) < 2:  # what comes meanwhile is served by the other
        async with http.get(f"{held.platform.url}/healthz") as answer:
            assert answer.status == 200
    lost = [page for page in pages if page.reader is not None and page.reader.done()]
    assert 0 < len(lost) < len(pages)
    back = await asyncio.gather(*(page.come_back("place") for page in lost))
    assert [place["position"] for place in back] == [page.place for page in lost], "the places of before"
    assert other in held.platform.pids(WEB)
    await all_served(held, runs, pages)


async def test_a_rolling_restart_replaces_both_and_no_request_fails(
    held: Held, http: aiohttp.ClientSession
) -> None:
    platform = held.platform
    before = set(platform.pids(WEB))
    assert platform.process is not None
    os.kill(platform.process.pid, signal.SIGHUP)
    while "all processes are new" not in platform.log():
        async with http.get(f"{platform.url}/{SPACE}") as answer:
            assert answer.status == 200
    await eventually(lambda: not before & set(platform.pids(WEB)), "the old ones ended", 60)
    assert len(platform.pids(WEB)) == 2
    assert all((platform.home / "log" / name).exists() for name in ("web.log", "web-2.log"))


async def all_served(held: Held, runs: Page, pages: list[Page]) -> None:
    """The gate opens: each call is served once, and in its turn."""
    held.gate.touch()
    first: asyncio.Task[Any] | None = None
    if runs.reader is not None and runs.reader.done():
        first = asyncio.create_task(runs.come_back("process_completed"))
    ends = await asyncio.gather(*(page.end() for page in pages))
    assert ends == [f"{page.name} done" for page in pages]
    if first is not None:
        assert (await first)["output"]["data"] == ["runs done"]
    else:
        assert await runs.end() == "runs done"
    places = {page.name: page.place for page in pages}
    in_order = [places[name] for name in held.starts()[1:]]
    assert sorted(in_order) == in_order
    assert len(in_order) == len(pages)
