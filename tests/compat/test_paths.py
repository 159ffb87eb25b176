"""The one normal form of paths: what any server might take for a path that runs something is known as one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from queueing.routes import App, Function
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


SEVERAL = App(
    protocol="sse_v3",
    mount="/ui",
    functions=(Function(id=0, api_name="first"),),
    mounted=(
        App(protocol="sse_v3", mount="/ui/admin", number=1, functions=(Function(id=0, api_name="second"),)),
        App(protocol="sse_v3", mount="/other", number=2),
    ),
)


@pytest.mark.parametrize(
    ("path", "mount"),
    [("/ui", "/ui"), ("/ui/x", "/ui"), ("/ui/admin/x", "/ui/admin"), ("/ui/administrators", "/ui"),
     ("/other/", "/other"), ("/elsewhere", "/ui"), ("/", "/ui")],
)  # fmt: skip
def test_a_path_belongs_to_the_app_that_lies_there(path: str, mount: str) -> None:
    assert paths.mount_of(path, SEVERAL) == mount
    assert paths.mount_of(path, SEVERAL.at("/other")) in (mount, "/other")


@pytest.mark.parametrize("mount", ["/ui", "/ui/admin", "/other", "/OTHER", "//other"])
@pytest.mark.parametrize("route", ROUTES)
def test_what_runs_in_any_app_of_the_server_is_known(mount: str, route: str) -> None:
    for app in (SEVERAL, SEVERAL.at("/ui/admin"), SEVERAL.at("/other")):
        assert paths.runs(f"{mount}/gradio_api{route}", app)


def test_functions_of_several_apps_have_numbers_of_their_own() -> None:
    numbers = {function.api_name: int(number) for number, function in SEVERAL.every().items()}
    assert len(set(numbers.values())) == 2
    for app in (SEVERAL, SEVERAL.at("/ui/admin")):
        for name, number in numbers.items():
            found = app.function(number) if app is SEVERAL else SEVERAL.function(number)
            assert found is not None
            assert found.api_name == name
    second = SEVERAL.at("/ui/admin").function(0)
    assert second is not None
    assert second.api_name == "second"


@pytest.mark.parametrize("before", ["", "/x", "/proxy/ui", "//A"])
@pytest.mark.parametrize("route", ROUTES)
def test_a_path_that_runs_something_is_known_wherever_it_lies(before: str, route: str) -> None:
    assert paths.runs_somewhere(f"{before}/gradio_api{route}")


@pytest.mark.parametrize(
    "path", ["/", "/x/queue/join", "/x/gradio_api/file=/a/queue/join", "/x/gradio_api/info"]
)
def test_other_paths_run_nothing_anywhere(path: str) -> None:
    assert not paths.runs_somewhere(path)


@pytest.mark.parametrize(
    ("method", "path", "is_own"),
    [("POST", "/api/items", True), ("GET", "/api/items", False), ("POST", "/api/items/7", False),
     ("GET", "/things/7", True), ("GET", "/things/", False), ("GET", "/things/7/8", False),
     ("PUT", "/static/a/b.js", True), ("GET", "/static", False), ("GET", "/staticky/a", False)],
)  # fmt: skip
def test_the_authors_own_paths_are_told_from_the_apps(method: str, path: str, is_own: bool) -> None:
    app = App(own=("POST /api/items", "GET /things/{number}", "* /static/{rest:path}"))
    assert paths.is_own(method, path, app) == is_own
