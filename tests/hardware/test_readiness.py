"""A replica is ready when it can be called. What it says of itself until then is hostile input."""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest

from hardware import readiness
from hardware.app_report import Unusable
from tests.security.hostile_app import CONFIG, REPORT, HostileApp, serving, ways, whole

FUNCTIONS = b'{"functions": [{"id": 0}], "gradio": "6.31.0"'


@pytest.mark.parametrize("path", ["/config", REPORT])
async def test_an_app_that_describes_itself_badly_is_refused_or_not_ready(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "TIMEOUT_S", 2)
    monkeypatch.setattr(readiness, "CONFIG_S", 2)
    canary = HostileApp()
    async with serving(canary):
        bad = ways(canary.address)
        apps = [HostileApp({path: answer}) for answer in bad.values()]
        async with serving(*apps):
            looks = [readiness.probe(app.address, "gradio") for app in apps]
            found = await asyncio.gather(*looks, return_exceptions=True)
    for name, what in zip(bad, found, strict=True):
        assert what is None or what == {} or isinstance(what, Unusable), (name, what)
    assert canary.asked == []


async def test_one_whose_start_up_work_goes_on_is_not_ready() -> None:
    app = HostileApp({REPORT: whole(FUNCTIONS + b', "started": false}')})
    async with serving(app):
        assert await readiness.probe(app.address, "gradio") is None
        app.answers[REPORT] = whole(FUNCTIONS + b', "started": true}')
        found = await readiness.probe(app.address, "gradio")
    assert found is not None
    assert found["gradio"] == "6.31.0"


@pytest.mark.parametrize(
    ("path", "answer", "reason"),
    [
        ("/config", {**CONFIG, "api_prefix": "@127.0.0.1:9"}, "api_prefix"),
        ("/config", {**CONFIG, "api_prefix": "/a/../b"}, "api_prefix"),
        ("/config", {**CONFIG, "api_prefix": "//127.0.0.1:9"}, "api_prefix"),
        ("/config", {**CONFIG, "api_prefix": "/a\r\nX: y"}, "api_prefix"),
        ("/config", {**CONFIG, "api_prefix": "/%2e%2e"}, "api_prefix"),
        ("/config", {**CONFIG, "dependencies": [{"id": -1}]}, r"dependencies|\$\[0\]\.id"),
        ("/config", {**CONFIG, "dependencies": [{"id": 10**9}]}, r"\$\[0\]\.id"),
        ("/config", {**CONFIG, "dependencies": [{"id": "0"}]}, r"\$\[0\]\.id"),
        ("/config", {**CONFIG, "dependencies": [{}] * 6000}, "5000"),
        ("/config", {**CONFIG, "dependencies": [{"cancels": list(range(30_000))}]}, "too large"),
        ("/config", {**CONFIG, "version": "6" * 100}, "version"),
        (REPORT, {"functions": [], "mounts": ["@127.0.0.1:9"]}, "path"),
        (REPORT, {"functions": [], "mounts": ["/a\\b"]}, "path"),
        (REPORT, {"functions": [], "mounts": ["/a"] * 60}, "mounts"),
        (REPORT, {"functions": [{"id": 0, "max_batch_size": -3}]}, "max_batch_size"),
        (REPORT, {"functions": [], "queue": {"max_size": 10**40}}, "max_size|out of range"),
        (REPORT, {"functions": "all"}, "functions"),
    ],
)
async def test_the_owner_reads_what_is_wrong(path: str, answer: dict[str, object], reason: str) -> None:
    app = HostileApp({path: whole(json.dumps(answer).encode())})
    async with serving(app):
        with pytest.raises(Unusable, match=reason):
            await readiness.probe(app.address, "gradio")


def test_looks_come_at_growing_distances() -> None:
    pauses = list(itertools.islice(readiness.pauses(), 100))
    assert pauses == sorted(pauses)
    assert sum(pauses[:5]) < 0.5
    assert pauses[-1] == readiness.LONGEST_PAUSE_S


@pytest.mark.parametrize(
    ("status", "is_ready"), [(200, True), (204, True), (302, False), (404, False), (503, False)]
)
async def test_a_docker_space_with_a_health_path_is_ready_once_that_succeeds(
    status: int, is_ready: bool
) -> None:
    app = HostileApp({"/healthz": whole(b"", "Location: /", status=f"{status} X")})
    async with serving(app):
        assert await readiness.probe(app.address, "docker") == {}, "its port is open"
        found = await readiness.probe(app.address, "docker", "/healthz")
    assert found == ({} if is_ready else None)
