"""A Space is measured on a replica of its own, with a real Gradio app: what is found, that visitors and their
data are left alone, and that nothing is left over, whatever is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from gradio_client import Client

from tests.platform_server import Platform
from tests.waiting import wait_until

SPACE = "alice/tuned"
#: `wait` only waits; `calls` tells how often that ran in its own process.
APP = """
import os
import time

import gradio as gr

CALLS = []


def wait(text):
    CALLS.append(text)
    time.sleep(0.05)
    return text.upper()


def calls():
    return f"{len(CALLS)} {os.getpid()}"


with gr.Blocks() as demo:
    text, answer = gr.Textbox(), gr.Textbox()
    gr.Button().click(wait, text, answer, api_name="wait")
    gr.Button().click(calls, None, answer, api_name="calls", queue=False)
    gr.Examples(["one", "two"], text)
demo.launch()
"""


@pytest.fixture(scope="module")
def token(process_platform: Platform) -> str:
    return process_platform.token("alice")


@pytest.fixture(scope="module")
def space(process_platform: Platform, token: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("app")
    (folder / "app.py").write_text(APP)
    assert process_platform.push(SPACE, token, folder) == "RUNNING"
    yield SPACE
    process_platform.api(token).pause_space(SPACE)


class Tuning:
    """Its routes in the API."""

    def __init__(self, platform: Platform, token: str) -> None:
        self.platform = platform
        self._url = f"{platform.url}/api/spaces/{SPACE}/tuning"
        self._headers = {"Authorization": f"Bearer {token}"}

    def start(self, **options: Any) -> requests.Response:
        return requests.post(self._url, json=options, headers=self._headers, timeout=30)

    def newest(self) -> dict[str, Any]:
        found: list[dict[str, Any]] = requests.get(self._url, headers=self._headers, timeout=30).json()
        return found[0]

    def cancel(self) -> requests.Response:
        return requests.delete(self._url, headers=self._headers, timeout=30)

    def ended(self) -> dict[str, Any]:
        wait_until(lambda: self.newest()["finished_at"], "it is measured", 120)
        return self.newest()

    def points(self) -> int:
        """Stored so far."""
        return sum(len(group["points"]) for group in self.newest()["groups"])

    def shadows(self) -> int:
        """Processes of replicas that are there to be measured."""
        query = "Replica.objects.filter(shadow=True, state__in=['pending', 'starting', 'ready']).count()"
        return int(
            self.platform.manage(
                "shell", "-v", "0", "-c", f"from hardware.models import Replica; print({query})"
            )
        )


@pytest.fixture
def tuning(process_platform: Platform, token: str, space: str) -> Tuning:
    return Tuning(process_platform, token)


def test_it_finds_what_an_app_that_waits_gains(tuning: Tuning, process_platform: Platform) -> None:
    visitor = Client(process_platform.run_url(SPACE), verbose=False)
    before, process = visitor.predict(api_name="/calls").split()
    answer = tuning.start(seconds=12, max_concurrency=8)
    assert answer.status_code == 202, answer.text
    again = tuning.start()
    assert (again.status_code, "already" in again.text) == (409, True)
    visitor.predict("hello", api_name="/wait")
    run = tuning.ended()
    assert run["status"] == "done", run
    (group,) = run["groups"]
    assert (group["functions"], group["inputs"]) == (["/wait"], "examples")
    points = {point["concurrency"]: point for point in group["points"]}
    assert points.keys() >= {1, 2, 4, 8}
    assert points[8]["throughput"] > 4 * points[1]["throughput"]
    assert not any(point["failed"] or point["stopped"] for point in points.values())
    assert min(point["memory_bytes"] for point in points.values()) > run["rest_bytes"] / 2
    assert group["chosen"]["concurrency"] >= 6
    assert run["settings"]["concurrency_count"] == group["chosen"]["concurrency"]
    assert "times as many events as one at a time" in group["why"][0]
    # One visitor called, and nobody else.
    after, same = visitor.predict(api_name="/calls").split()
    assert (int(after) - int(before), same) == (1, process)
    wait_until(lambda: not tuning.shadows(), "its replica has ended", 30)


def test_a_cancelled_one_leaves_nothing(tuning: Tuning) -> None:
    assert tuning.start(seconds=60).status_code == 202
    wait_until(tuning.points, "a point is measured", 60)
    assert tuning.cancel().json()["status"] == "cancelled"
    wait_until(lambda: not tuning.shadows(), "its replica has ended", 30)
    assert tuning.newest()["note"] == "alice cancelled it."
    assert tuning.cancel().status_code == 409


def test_the_next_worker_goes_on_where_one_was_killed(tuning: Tuning, process_platform: Platform) -> None:
    assert tuning.start(seconds=30, max_concurrency=8).status_code == 202
    wait_until(tuning.points, "a point is measured", 60)
    for pid in process_platform.pids("node"):
        os.kill(pid, signal.SIGKILL)
    first = tuning.newest()["groups"][0]["points"][0]
    run = tuning.ended()
    assert run["status"] == "done", run
    assert run["groups"][0]["points"][0] == first
    assert len(run["groups"][0]["points"]) >= 4
    wait_until(lambda: not tuning.shadows(), "its replica has ended", 30)


def test_what_cannot_be_measured_is_refused(
    tuning: Tuning, process_platform: Platform, token: str, tmp_path: Path
) -> None:
    assert "no function nothing" in tuning.start(functions=["nothing"]).text
    assert tuning.start(inputs={"wait": []}).status_code == 400
    assert tuning.start(seconds=1).status_code == 400
    (tmp_path / "app.py").write_text(
        "import gradio as gr\ngr.Interface(lambda file: file, gr.File(), gr.Textbox()).launch()\n"
    )
    assert process_platform.push("alice/asks", token, tmp_path) == "RUNNING"
    url = f"{process_platform.url}/api/spaces/alice/asks/tuning"
    answer = requests.post(url, json={}, headers={"Authorization": f"Bearer {token}"}, timeout=30)
    assert (answer.status_code, "No function has sample inputs" in answer.text) == (409, True)
