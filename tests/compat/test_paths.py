"""The one normal form of paths: what any server might take for a path that runs something is known as one."""

from __future__ import annotations

from collections.abc import Callable

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


SPELLINGS: list[Callable[[str], str]] = [
    lambda p: p,
    lambda p: f"{p}/",
    lambda p: f"/{p}",
    lambda p: p.replace("/", "//"),
    lambda p: p.upper(),
    lambda p: p.title(),
    lambda p: "/" + p[1:].replace("/", "%2F"),
    lambda p: "/" + p[1:].replace("/", "%252f"),
    lambda p: f"{p};x=1",
    lambda p: f"{p}.",
]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "spell",
    [
        *SPELLINGS,
        lambda p: f"/gradio_api{p}",
        lambda p: f"/gradio_api/gradio_api{p}",
        lambda p: f"/GRADIO_API/{p}",
    ],
)
def test_every_spelling_of_what_runs_is_known(route: str, spell: Callable[[str], str]) -> None:
    assert paths.runs(spell(route), APP)


@pytest.mark.parametrize(
    "path",
    ["/", "/config", "/assets/run/x.js", "/file=/tmp/gradio/queue/join", "/gradio_api/file=/a/run/b",
     "/upload", "/gradio_api/heartbeat/s", "/gradio_api/stream/s/1/2/playlist.m3u8", "/theme.css"],
)  # fmt: skip
def test_what_runs_nothing_passes(path: str) -> None:
    assert not paths.runs(path, APP)


QUEUED = ("/predict", "/v1/models/*", "/")


@pytest.mark.parametrize(
    ("path", "index"),
    [("/predict", 0), ("/v1/models", 1), ("/v1/models/", 1), ("/v1/models/a/b", 1), ("/v1/models//a", 1),
     ("/", 2), ("/predict/", None), ("/predictor", None), ("/v1/modelss", None),
     ("/V1/models/a", None), ("/v1", None)],
)  # fmt: skip
def test_a_queued_path_is_known_as_it_is_written(path: str, index: int | None) -> None:
    assert paths.queued(path, QUEUED) == index


@pytest.mark.parametrize("route", ["/predict", "/v1/models/a", "/v1/models/a:run"])
@pytest.mark.parametrize("spell", SPELLINGS)
def test_every_spelling_of_a_queued_path_resembles_it(route: str, spell: Callable[[str], str]) -> None:
    assert paths.resembles(spell(route), QUEUED)


@pytest.mark.parametrize("path", ["/predictor", "/v1", "/v1/modelss/a", "/x/predict", "/healthz"])
def test_other_paths_do_not(path: str) -> None:
    assert not paths.resembles(path, QUEUED)
