"""The one normal form of paths: what any server might take for a path that runs something is known as one."""

from __future__ import annotations

import pytest

from queueing.routes import App
from spaces.gateway import paths

APP = App(protocol="sse_v3", version="6.31.0", prefix="/gradio_api")
ROUTES = (
    "/queue/join",
    "/queue/data",
    "/run/mark",
    "/api/mark",
    "/call/mark",
    "/call/v2/mark",
    "/mcp",
    "/cancel",
)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "spell",
    [
        lambda p: p,
        lambda p: f"{p}/",
        lambda p: f"/{p}",
        lambda p: p.replace("/", "//"),
        lambda p: p.upper(),
        lambda p: p.title(),
        lambda p: "/" + p[1:].replace("/", "%2F"),
        lambda p: "/" + p[1:].replace("/", "%252f"),
        lambda p: f"/gradio_api{p}",
        lambda p: f"/gradio_api/gradio_api{p}",
        lambda p: f"/GRADIO_API/{p}",
        lambda p: f"{p};x=1",
        lambda p: f"{p}.",
    ],
)
def test_every_spelling_of_what_runs_is_known(route: str, spell: object) -> None:
    assert callable(spell)
    assert paths.runs(spell(route), APP)


@pytest.mark.parametrize(
    "path",
    ["/", "/config", "/assets/run/x.js", "/file=/tmp/gradio/queue/join", "/gradio_api/file=/a/run/b",
     "/upload", "/gradio_api/heartbeat/s", "/gradio_api/stream/s/1/2/playlist.m3u8", "/theme.css"],
)  # fmt: skip
def test_what_runs_nothing_passes(path: str) -> None:
    assert not paths.runs(path, APP)
