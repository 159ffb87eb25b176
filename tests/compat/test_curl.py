"""Plain curl on the call API, as Gradio's guide shows it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable

import pytest

from tests.platform_server import Platform

pytestmark = pytest.mark.timeout(600)
JSON = ("-H", "Content-Type: application/json")


def curl(*arguments: str) -> tuple[int, str]:
    """Status and body."""
    path = shutil.which("curl")
    assert path, "curl is needed here"
    command = [path, "-sS", "-N", "--max-time", "60", "-w", "\n%{http_code}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


@pytest.fixture
def url(process_platform: Platform, aged: Callable[[str], str]) -> str:
    return f"{process_platform.run_url(aged('6.31.0'))}gradio_api/call"


def begun(url: str, name: str, *data: object) -> str:
    status, body = curl("-X", "POST", f"{url}/{name}", *JSON, "-d", json.dumps({"data": data}))
    assert status == 200
    return f"{url}/{name}/{json.loads(body)['event_id']}"


def told(body: str) -> list[tuple[str, object]]:
    """Events of the stream and their values; heartbeats come by the clock."""
    events = [event.split("\n") for event in body.strip().split("\n\n")]
    pairs = [
        (event.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for event, data in events
    ]
    return [pair for pair in pairs if pair[0] != "heartbeat"]


def test_a_result(url: str) -> None:
    status, body = curl(begun(url, "echo", "Ada"))
    assert (status, told(body)) == (200, [("complete", ["hello Ada"])])


def test_a_stream_with_whole_values(url: str) -> None:
    _, body = curl(begun(url, "count_up", 3))
    assert told(body) == [("generating", ["x" * n]) for n in (1, 2, 3)] + [("complete", ["xxx"])]


def test_an_error_is_told(url: str) -> None:
    _, body = curl(begun(url, "fail", "unicorns"))
    assert told(body) == [("error", "no such thing as unicorns")]


def test_whoever_comes_again_hears_it_again(url: str) -> None:
    place = begun(url, "echo", "Grace")
    assert curl(place) == curl(place)


def test_refusals_can_be_read(url: str, process_platform: Platform, owner: str) -> None:
    space = url.partition("/run/")[2].partition("/gradio_api")[0]
    data = (*JSON, "-d", '{"data": ["x"], "text": "x"}')  # call/v2 has names
    process_platform.queue(space, owner, api_open=False)
    try:
        for name in ("echo", "v2/echo", "quick"):
            status, body = curl("-X", "POST", f"{url}/{name}", *data)
            assert status == 403
            assert "api_open is off" in json.loads(body)["error"]
    finally:
        process_platform.queue(space, owner, api_open=True)
    assert curl("-X", "POST", f"{url}/nothing", *data)[0] == 404
    assert curl(f"{url}/echo/{'0' * 32}")[0] == 404
    assert curl("-X", "POST", f"{url}/echo", *JSON, "-d", "no JSON")[0] == 400
