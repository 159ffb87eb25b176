"""Gradio mounted in a server of the author's own, once and more often: all its events queue, nothing gets
past the queue, a closed API holds there too, and what is not Gradio's is left alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
from gradio_client import Client
from gradio_client.exceptions import AppError
from playwright.sync_api import expect

from tests.platform_server import APPS, Platform
from tests.security.conftest import Marks
from tests.waiting import wait_until

SPACE = "alice/mounted"
SAYS = "api_open is off"


@pytest.fixture(scope="module")
def platform(process_platform: Platform, owner: str) -> Platform:
    assert process_platform.push(SPACE, owner, APPS / "mounted", timeout_s=300) == "RUNNING"
    return process_platform


@pytest.fixture
def marks(platform: Platform) -> Marks:
    return Marks(platform, "mounted")


@pytest.fixture
def client(platform: Platform) -> Client:
    return Client(f"{platform.run_url(SPACE)}demo/", verbose=False)


@pytest.fixture
def closed(platform: Platform, owner: str) -> Iterator[None]:
    platform.queue(SPACE, owner, api_open=False)
    yield
    platform.queue(SPACE, owner, api_open=True)


def test_its_events_wait_in_our_queue(platform: Platform, owner: str, client: Client, marks: Marks) -> None:
    platform.queue(SPACE, owner, concurrency_count=1)
    jobs = [client.submit(f"s{n}", api_name="/slow") for n in range(3)]
    wait_until(lambda: platform.queue(SPACE, owner)["pending"], "who comes later waits in line")
    assert [job.result(timeout=60) for job in jobs] == ["s0", "s1", "s2"]
    ran = [line.split()[0] for line in marks.read() if line.split()[0] in {"start", "end"}]
    assert ran == ["start", "end"] * 3, "one at a time, as its settings say"


def test_every_app_of_the_server_counts_for_the_places_of_all(
    platform: Platform, owner: str, client: Client, marks: Marks
) -> None:
    platform.queue(SPACE, owner, max_running=1)
    other = Client(f"{platform.run_url(SPACE)}other/", verbose=False)
    before = len(marks.read())
    jobs = [app.submit(f"b{n}", api_name="/slow") for n, app in enumerate((client, other, client, other))]
    assert [job.result(timeout=60) for job in jobs] == ["b0", "b1", "b2", "b3"]
    ran = [line.split()[0] for line in marks.read()[before:]]
    assert ran == ["start", "end"] * 4, "one at a time, whichever app it is"


def test_each_app_runs_its_own_functions(platform: Platform, client: Client, marks: Marks) -> None:
    other = Client(f"{platform.run_url(SPACE)}other/", verbose=False)
    assert client.predict("a", api_name="/mark") == "marked a"
    assert other.predict("b", api_name="/mark") == "other marked b"
    before = len(marks.read())
    jobs = [other.submit(f"m{n}", api_name="/many") for n in range(5)]
    assert [job.result(timeout=60) for job in jobs] == [f"other m{n}" for n in range(5)]
    assert len(marks.read()[before:]) < 5, "its batches are batches"
    url = f"{platform.run_url(SPACE)}other/gradio_api/run/mark"
    assert requests.post(url, json={"data": ["c"]}, timeout=30).json()["data"] == ["other marked c"]


@pytest.mark.parametrize(
    "way", ["queue/join", "run/mark", "api/mark", "call/mark", "queue/data?session_hash=s"]
)
def test_an_app_that_nobody_knows_of_runs_nothing(platform: Platform, marks: Marks, way: str) -> None:
    """It cannot queue, so it does not run: else it would go past every limit of the Space."""
    before = marks.read()
    body = {"data": ["x"], "fn_index": 0, "session_hash": "s"}
    method = "GET" if "?" in way else "POST"
    for mark in ({}, {"X-Spaceport-Visitor": ""}, {"x-spaceport-visitor": "0"}):
        url = f"{platform.run_url(SPACE)}hidden/gradio_api/{way}"
        answer = requests.request(method, url, json=body, headers=mark, timeout=30)
        assert answer.status_code == 404
        assert "queue only" in answer.json()["detail"]
    assert requests.get(f"{platform.run_url(SPACE)}hidden/config", timeout=30).ok, "what only reads passes"
    assert marks.read() == before


def test_streams_and_files_come_through(client: Client) -> None:
    job = client.submit(4, api_name="/count")
    assert job.result(timeout=60) == "xxxx"
    assert job.outputs() == ["x", "xx", "xxx", "xxxx"]
    assert Path(client.predict("kept", api_name="/file")).read_text() == "kept"


def test_the_authors_own_routes_are_left_to_them(platform: Platform) -> None:
    assert requests.get(f"{platform.run_url(SPACE)}hello", timeout=30).json() == {"hello": "own server"}
    assert requests.post(f"{platform.run_url(SPACE)}own", timeout=30).json() == {"ran": "own"}
    with requests.get(f"{platform.run_url(SPACE)}events", timeout=30) as answer:
        assert answer.text == "data: 0\n\ndata: 1\n\ndata: 2\n\n"


@pytest.mark.parametrize("door", ["demo host", "programs' door"])
async def test_the_authors_own_websockets_are_too(platform: Platform, door: str) -> None:
    if door == "demo host":
        url, host = f"{platform.url}/ws", {"Host": f"alice-mounted.localhost:{platform.port}"}
    else:
        url, host = f"{platform.run_url(SPACE)}ws", {}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, headers=host, protocols=["chat"]) as ws,
    ):
        assert ws.protocol == "chat"
        await ws.send_str("hello")
        assert await ws.receive_str() == "hello"
        assert await ws.receive_bytes() == b"\0\1" * 1000
        assert (await ws.receive()).type == aiohttp.WSMsgType.CLOSE
        assert ws.close_code == 4001


def test_a_closed_api_is_closed_there_too(
    platform: Platform, closed: None, client: Client, marks: Marks
) -> None:
    before = marks.read()
    with pytest.raises(AppError, match=SAYS):
        client.predict("client", api_name="/mark")
    body = {"data": ["curl"], "fn_index": 0, "session_hash": "attacker", "event_id": "0" * 32}
    doors = {
        platform.run_url(SPACE).rstrip("/"): {},
        platform.url: {"Host": f"alice-mounted.localhost:{platform.port}"},
    }
    for mount in ("/demo", "/DEMO", "//demo", "/demo/", "/d%65mo", "/other", "/other/", "//other"):
        for prefix in ("", "/gradio_api", "//gradio_api", "/gradio_api/gradio_api"):
            for route in ("run/mark", "call/mark", "api/mark", "queue//join", "component_server", "upload"):
                for url, host in doors.items():
                    path = f"{mount}{prefix}/{route}"
                    answer = requests.post(f"{url}{path}", json=body, headers=host, timeout=30)
                    assert 400 <= answer.status_code < 500, path
    assert marks.read() == before
    # What is not Gradio's is the author's own business.
    assert requests.post(f"{platform.run_url(SPACE)}own", timeout=30).json() == {"ran": "own"}


@pytest.mark.browser
def test_its_page_is_found_works_and_reloads(
    platform: Platform, closed: None, marks: Marks, visit: Callable[..., Any]
) -> None:
    page = visit(f"http://localhost:{platform.port}/{SPACE}")
    for when in ("opened", "reloaded"):
        demo = page.frame_locator("iframe")
        demo.get_by_role("button", name="Mark").wait_for(timeout=60_000)
        demo.get_by_label("Text").fill(when)
        demo.get_by_role("button", name="Mark").click()
        expect(demo.get_by_label("Out")).to_have_value(f"marked {when}", timeout=60_000)
        demo.get_by_role("button", name="Count").click()
        expect(demo.get_by_label("Out")).to_have_value(re.compile("xxxxx"), timeout=60_000)
        demo.get_by_role("button", name="File", exact=True).click()
        link = demo.locator(f"a[href*='{when}.txt']").first
        link.wait_for(timeout=60_000)
        assert re.search(r"/_ui/[^/]+/demo/gradio_api/file=", str(link.get_attribute("href")))
        page.reload()


@pytest.mark.browser
def test_the_page_of_a_further_app_works_too(
    platform: Platform, closed: None, visit: Callable[..., Any]
) -> None:
    page = visit(f"{platform.demo_url(SPACE)}other/")
    page.get_by_role("button", name="Mark").wait_for(timeout=60_000)
    page.get_by_label("Text").fill("further")
    page.get_by_role("button", name="Mark").click()
    expect(page.get_by_label("Out")).to_have_value("other marked further", timeout=60_000)
