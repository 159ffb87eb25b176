"""What is sent to a replica reaches its address and no other, whoever names another."""

from __future__ import annotations

import subprocess
import sys

import aiohttp
import pytest

from hardware.replica_client import (
    BadAnswer,
    ReplicaClient,
    ReplicaError,
    Unreachable,
    _pinned_to,
    target_of,
    url_of,
)
from tests.platform_server import ROOT
from tests.security.hostile_app import HostileApp, canary, raw, serving, whole
from tests.sockets import client

__all__ = ["canary", "client"]


@pytest.mark.parametrize(
    "target",
    [
        "@{canary}/x",
        "x",
        "",
        ":1@{canary}/",
        "\\\\{canary}/",
        "/a b",
        "/a\r\nHost: {canary}",
        "/ü",
        "http://{canary}/",
    ],
)
async def test_what_is_no_path_is_sent_to_nobody(
    client: ReplicaClient, canary: HostileApp, target: str
) -> None:
    app = HostileApp()
    async with serving(app):
        with pytest.raises(ReplicaError):
            async with client.send("GET", app.address, target.format(canary=canary.address)):
                pass
    assert app.asked == []


@pytest.mark.parametrize(
    "path", ["//{canary}/x", "/@{canary}/", "/\\{canary}", "/a b?c#d", "/%2e%2e/ü", "/a\r\nb"]
)
async def test_any_path_goes_to_the_replica_as_its_path(
    client: ReplicaClient, canary: HostileApp, path: str
) -> None:
    app = HostileApp()
    at = path.format(canary=canary.address)
    async with serving(app), client.request("GET", app.address, at, total_s=10) as reply:
        assert reply.status == 404
    assert len(app.asked) == 1


@pytest.mark.parametrize(
    "address", ["localhost:80", "example.org:80", "u:p@127.0.0.1:80", "127.0.0.1", "", ":80"]
)
def test_a_name_is_no_address(address: str) -> None:
    with pytest.raises(Unreachable):
        url_of(address, "/")


async def test_even_a_library_that_follows_redirects_does_not_get_away(
    client: ReplicaClient, canary: HostileApp
) -> None:
    app = HostileApp({"/": whole(b"", f"Location: http://{canary.address}/", status="302 Found")})
    async with serving(app):
        url = url_of(app.address, "/")
        with _pinned_to(url), pytest.raises(aiohttp.ClientConnectionError, match="not the replica's"):
            await client._session.get(url, allow_redirects=True)


async def test_no_proxy_of_the_environment_is_used(
    client: ReplicaClient, canary: HostileApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://{canary.address}")
    monkeypatch.setenv("http_proxy", f"http://{canary.address}")
    app = HostileApp({"/": whole(b"{}")})
    async with serving(app), client.request("GET", app.address, "/", total_s=10) as reply:
        assert await reply.read(10) == b"{}"


async def test_a_body_is_read_up_to_its_limit(client: ReplicaClient) -> None:
    app = HostileApp({"/": raw(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 1000] * 1000)})
    async with serving(app), client.request("GET", app.address, "/", total_s=10) as reply:
        with pytest.raises(BadAnswer, match="larger than"):
            await reply.read(100_000)


def test_a_query_is_sent_as_it_came() -> None:
    assert target_of("/a", b"x=%20&y=\xe9 z") == "/a?x=%20&y=%E9%20z"


@pytest.mark.parametrize(
    "line",
    ["import requests", "import httpx", "import aiohttp\naiohttp.ClientSession()", "import urllib.request"],
)
@pytest.mark.parametrize(
    "folder", ["spaces/gateway", "queueing", "hardware", "platform/spaceport", "platform/infra"]
)
def test_the_linter_refuses_other_clients(folder: str, line: str) -> None:
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--select",
        "TID251",
        "--stdin-filename",
        f"{folder}/new.py",
        "-",
    ]
    found = subprocess.run(command, input=line, capture_output=True, text=True, cwd=ROOT, check=False)
    assert "TID251" in found.stdout
