"""`make up TLS=localhost:…`: a real Caddy in front, with certificates of its own authority, which the clients
check."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
from aiohttp.abc import AbstractResolver, ResolveResult
from gradio_client import Client, handle_file

from accounts.throttle import PER_NAME_AND_ADDRESS
from spaceport.up.caddy import caddyfile
from tests.platform_server import APPS, Platform, free_port, prepared_home, running
from tests.sockets import until
from tests.waiting import wait_until

SPACE = "alice/secure"
DEMO = "alice-secure.localhost"


class Here(AbstractResolver):
    """Every name is this machine, as browsers take those below localhost."""

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=2, proto=0, flags=0)]

    async def close(self) -> None: ...


@pytest.fixture(scope="module")
def tls() -> str:
    """Where https is served."""
    return f"localhost:{free_port()}"


@pytest.fixture(scope="module")
def here(tls: str) -> Iterator[Platform]:
    with (
        prepared_home() as home,
        running(Platform("process", home, settings={"SPACEPORT_TLS": tls})) as platform,
    ):
        wait_until(lambda: authority(platform).exists(), "Caddy has its authority")
        assert platform.push(SPACE, platform.token("alice"), APPS / "everything") == "RUNNING"
        yield platform


@pytest.fixture(scope="module")
def checked(here: Platform) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority(here)))


@pytest.fixture
async def http(here: Platform, checked: ssl.SSLContext) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(resolver=Here(), ssl=checked)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


def authority(platform: Platform) -> Path:
    return platform.home / "caddy" / "pki" / "authorities" / "local" / "root.crt"


def test_the_official_client_calls_streams_and_uploads(
    here: Platform, tls: str, checked: ssl.SSLContext, tmp_path: Path
) -> None:
    verify: Any = checked  # as httpx takes it
    client = Client(f"https://{tls}/run/{SPACE}/", verbose=False, ssl_verify=verify)
    assert client.predict("bob", api_name="/echo") == "hello bob"
    assert list(client.submit(4, api_name="/count_up")) == ["x", "xx", "xxx", "xxxx"]
    blob = tmp_path / "blob.bin"
    blob.write_bytes(os.urandom(30_000_000))
    assert client.predict(handle_file(str(blob)), api_name="/size") == 30_000_000
    client.close()


async def test_a_websocket_is_told_its_place_and_the_result(
    http: aiohttp.ClientSession, here: Platform, tls: str
) -> None:
    url = f"wss://{tls}/ws/spaces/{SPACE}/queue"
    async with http.ws_connect(url, origin=f"https://{tls}") as first, http.ws_connect(url) as second:
        await first.send_json({"msg": "join", "api_name": "slow", "data": ["first"]})
        await until(first, "joined")
        await second.send_json({"msg": "join", "api_name": "slow", "data": ["second"]})
        assert (await until(second, "place"))["state"] == "pending"
        assert (await until(second, "process_completed"))["output"]["data"] == ["second"]


async def test_events_of_a_stream_come_one_by_one(http: aiohttp.ClientSession, tls: str) -> None:
    call = f"https://{tls}/run/{SPACE}/gradio_api/call/forever"
    async with http.post(call, json={"data": []}) as answer:
        event = (await answer.json())["event_id"]
    async with http.get(f"{call}/{event}") as stream:
        async with asyncio.timeout(30):  # it never ends: whoever buffers it gives nothing
            lines = [line async for line in _first(stream, 6)]
    assert lines.count(b"event: generating\n") >= 2


async def _first(stream: aiohttp.ClientResponse, count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield await stream.content.readline()


async def test_a_demos_host_has_a_certificate_of_its_own_and_its_page_knows_https(
    http: aiohttp.ClientSession, tls: str
) -> None:
    port = tls.partition(":")[2]
    async with http.get(f"https://{DEMO}:{port}/", headers={"Accept": "text/html"}) as page:
        assert page.status == 200
        assert f"https://{DEMO}:{port}" in await page.text()
    with pytest.raises(aiohttp.ClientConnectorError):  # nobody gets certificates for hosts that do not exist
        await http.get(f"https://no-such-space.localhost:{port}/")


def browser(here: Platform, tls: str) -> tuple[requests.Session, dict[str, str]]:
    """One that checks certificates, and what its sign-in form hides."""
    ask = requests.Session()
    ask.trust_env = False  # else a bundle that the environment names would win
    ask.verify = str(authority(here))
    ask.headers["Referer"] = f"https://{tls}/login"
    page = ask.get(f"https://{tls}/login", timeout=30).text
    return ask, {"csrfmiddlewaretoken": page.partition('csrfmiddlewaretoken" value="')[2][:64]}


def test_who_signs_in_has_secure_cookies(here: Platform, tls: str) -> None:
    ask, form = browser(here, tls)
    form |= {"username": "alice", "password": here.password("alice")}
    answer = ask.post(f"https://{tls}/login", data=form, timeout=30)
    assert answer.url == f"https://{tls}/dashboard"
    assert {"csrftoken", "sessionid"} <= {cookie.name for cookie in ask.cookies}
    assert all(cookie.secure for cookie in ask.cookies)
    assert "Strict-Transport-Security" not in answer.headers, "it would bind all of localhost"


def test_an_address_that_a_visitor_names_counts_for_nothing(here: Platform, tls: str) -> None:
    ask, form = browser(here, tls)
    form |= {"username": "charlie"}
    statuses = [
        ask.post(
            f"https://{tls}/login",
            data={**form, "password": f"guess {n}"},
            headers={"X-Forwarded-For": f"203.0.113.{n}"},
            timeout=30,
        ).status_code
        for n in range(PER_NAME_AND_ADDRESS + 1)
    ]
    assert statuses == [422] * PER_NAME_AND_ADDRESS + [429]


def test_who_has_no_token_learns_of_no_host(here: Platform, tls: str) -> None:
    for url in (f"https://{tls}", here.url):
        answer = requests.get(
            f"{url}/certificates/ask?domain={DEMO}", verify=str(authority(here)), timeout=10
        )
        assert answer.status_code == 404


def test_a_real_host_is_certified_by_a_public_authority_and_keeps_browsers_to_https(tmp_path: Path) -> None:
    text = caddyfile(
        "spaces.example.org", web=8000, demo_domain="demos.example.net", home=tmp_path, ask="a?token=t"
    )
    file = tmp_path / "Caddyfile"
    file.write_text(text)
    adapted = subprocess.run(
        ["caddy", "adapt", "--adapter", "caddyfile", "--config", file],
        env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    apps = json.loads(adapted)["apps"]
    policies = {one["subjects"][0]: one for one in apps["tls"]["automation"]["policies"]}
    assert policies["*.demos.example.net"]["on_demand"]
    assert not policies["spaces.example.org"].get("on_demand")
    assert all(one["issuers"][0]["module"] == "acme" for one in policies.values())
    assert adapted.count("max-age=31536000") == 2
