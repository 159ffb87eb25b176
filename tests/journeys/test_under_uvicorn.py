"""One visitor's way through a platform whose web is served by uvicorn: what differs from Daphne in how bytes
come and go. (Any other test runs there, too: `SPACEPORT_WEB_SERVER=uvicorn make test ARGS=…`.)"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
import requests
from gradio_client import Client, handle_file

from queueing.messages import GOING_AWAY
from tests.platform_server import APPS, WEB, Platform
from tests.sockets import until
from tests.waiting import eventually, wait_until

SPACE = "alice/quick"


@pytest.fixture(scope="module")
def space(uvicorn_platform: Platform) -> str:
    token = uvicorn_platform.token("alice")
    assert uvicorn_platform.push(SPACE, token, APPS / "everything") == "RUNNING"
    return SPACE


@pytest.fixture
def client(uvicorn_platform: Platform, space: str) -> Iterator[Client]:
    client = Client(uvicorn_platform.run_url(space), verbose=False)
    yield client
    client.close()  # its heartbeat's stream would keep a web process that is to end


def metric(platform: Platform, name: str) -> float:
    admin = {"Authorization": f"Bearer {platform.token('admin')}"}
    told = requests.get(f"{platform.url}/metrics", headers=admin, timeout=10).text
    found = re.findall(rf"(?m)^{name} (\S+)$", told)
    assert found, name
    return sum(map(float, found))


def test_it_is_uvicorn_that_serves(uvicorn_platform: Platform) -> None:
    (web,) = uvicorn_platform.pids(WEB)
    assert "uvloop" in Path(f"/proc/{web}/maps").read_text()
    assert "httptools" in Path(f"/proc/{web}/maps").read_text()


async def test_a_socket_is_told_its_place_and_sent_away_when_the_process_ends(
    uvicorn_platform: Platform, space: str
) -> None:
    url = f"{uvicorn_platform.url.replace('http', 'ws')}/ws/spaces/{space}/queue"
    call = f"{uvicorn_platform.run_url(space)}gradio_api/call/count_up"
    (old,) = uvicorn_platform.pids(WEB)
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as first, http.ws_connect(url) as second:
        await first.send_json({"msg": "join", "api_name": "slow", "data": ["first"]})
        await until(first, "joined")
        await second.send_json({"msg": "join", "api_name": "slow", "data": ["second"]})
        mine = await until(second, "joined")
        assert (await until(second, "place"))["state"] == "pending"
        async with http.post(call, json={"data": [60]}) as answer:
            event = (await answer.json())["event_id"]
        stream = await http.get(f"{call}/{event}")  # the old process ends behind it
        os.kill(old, signal.SIGTERM)
        away = await until(second, "goodbye")
        while not second.closed:
            await second.receive(timeout=10)
        assert second.close_code == GOING_AWAY
        await asyncio.sleep(away["retry_after_ms"] / 1000)
        async with http.ws_connect(url) as third:  # who waits in the listening socket is served by the next
            await third.send_json({"msg": "follow", "session_hash": mine["session_hash"]})
            assert (await until(third, "process_completed"))["output"]["data"] == ["second"]
        lines = (await asyncio.wait_for(stream.text(), 60)).split("\n\n")
        assert lines[-2] == 'event: complete\ndata: ["' + "x" * 60 + '"]'
    wait_until(lambda: uvicorn_platform.pids(WEB) not in ([], [old]), "another serves")
    await eventually(lambda: old not in uvicorn_platform.pids(WEB), "the old one ended", 60)
    log = (uvicorn_platform.home / "log" / "web.log").read_text()
    assert "Exception in ASGI application" not in log


def test_calls_streams_files_and_cancelling(client: Client, tmp_path: Path) -> None:
    assert client.predict("bob", api_name="/echo") == "hello bob"
    assert list(client.submit(4, api_name="/count_up")) == ["x", "xx", "xxx", "xxxx"]
    blob = tmp_path / "blob.bin"
    blob.write_bytes(os.urandom(1_500_000))
    assert client.predict(handle_file(str(blob)), api_name="/size") == 1_500_000
    job = client.submit(api_name="/forever")
    wait_until(lambda: len(job.outputs()) >= 2, "it runs")
    job.cancel()
    assert client.predict("next", api_name="/echo") == "hello next"


def test_the_page_comes_through_the_demos_host_and_a_part_of_a_file(
    uvicorn_platform: Platform, client: Client, tmp_path: Path
) -> None:
    host = {"Host": f"alice-quick.localhost:{uvicorn_platform.port}"}
    page = requests.get(uvicorn_platform.url, headers={**host, "Accept": "text/html"}, timeout=60)
    assert "window.gradio_config" in page.text
    script = re.search(r'src="[^"]*(/assets/[^"]+\.js)"', page.text)
    assert script is not None
    url = f"{uvicorn_platform.url}{script[1]}"
    plain = {**host, "Accept-Encoding": "identity"}
    whole = requests.get(url, headers=plain, timeout=60).content
    part = requests.get(url, headers={**plain, "Range": "bytes=5-14"}, timeout=60)
    assert (part.status_code, part.content) == (206, whole[5:15])
    assert part.headers["Content-Range"] == f"bytes 5-14/{len(whole)}"
    assert requests.get(f"{uvicorn_platform.url}/no/such/page", headers=host, timeout=60).status_code == 404


async def test_who_hangs_up_leaves_no_stream_behind(uvicorn_platform: Platform, space: str) -> None:
    async def streams() -> float:
        return await asyncio.to_thread(
            metric, uvicorn_platform, r'spaceport_web_open_sockets\{kind="sse",.*}'
        )

    async def open_are(at_least: float, at_most: float) -> bool:
        return at_least <= await streams() <= at_most

    # Each stays open until its client hangs up. Some more may be those of other tests' clients.
    url = f"{uvicorn_platform.run_url(space)}gradio_api/heartbeat/visitor"
    async with aiohttp.ClientSession() as http:
        answers = [await http.get(f"{url}{n}") for n in range(20)]
        await eventually(lambda: open_are(20, 40), "they are open")
        for answer in answers:
            answer.close()
        await eventually(lambda: open_are(0, 10), "they ended")
