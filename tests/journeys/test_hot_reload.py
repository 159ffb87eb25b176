"""An edit is live in the process that runs: by `hf spaces hot-reload`, and by any push where the owner turned
that on. What cannot be taken in is rolled out, and no visitor notices either."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from gradio_client import Client

from tests.platform_server import Platform
from tests.waiting import wait_until

VISITORS = 3
CARD = "---\nsdk: gradio\nsdk_version: 6.31.0\napp_file: app.py\n---\n"
APP = """
import os
import time

import gradio as gr

import words

MODEL = f"{os.getpid()} {time.time_ns()}"  # takes minutes to load


def answer():
    time.sleep(0.3)  # somebody always waits for an answer, and the machine has time for the rest
    return f"first {words.WORD} {MODEL}"


with gr.Blocks() as demo:
    gr.Button("Ask").click(answer, None, gr.Textbox(), api_name="answer")
demo.launch()
"""


class Owner:
    """Pushes to a Space that visitors call all the time."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        self.platform, self.folder, self.space = platform, folder, "alice/edited"
        self.token = platform.token("alice")
        self.answers: list[str] = []
        self.end = threading.Event()
        for name, text in {"README.md": CARD, "app.py": APP, "words.py": 'WORD = "one"\n'}.items():
            (folder / name).write_text(text)
        assert platform.push(self.space, self.token, folder) == "RUNNING"

    def visit(self) -> None:
        client = Client(self.platform.run_url(self.space), verbose=False)
        while not self.end.is_set():
            self.answers.append(client.predict(api_name="/answer"))

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def upload(self) -> str:
        commit = self.platform.api(self.token).upload_folder(
            repo_id=self.space, repo_type="space", folder_path=self.folder
        )
        return str(commit.oid)

    def answered(self) -> tuple[str, str]:
        """What visitors are told now, and by which model."""
        since = len(self.answers)
        wait_until(lambda: len(self.answers) > since + 2 * VISITORS, "visitors are answered")
        [answer] = {" ".join(answer.split()[:2]) for answer in self.answers[since + VISITORS :]}
        [model] = {" ".join(answer.split()[2:]) for answer in self.answers[since + VISITORS :]}
        return answer, model

    def answered_by_another_than(self, model: str) -> None:
        wait_until(lambda: not self.answers[-1].endswith(model), "it was started anew", 120)

    def runtime(self) -> dict[str, object]:
        raw: dict[str, object] = self.platform.api(self.token).get_space_runtime(self.space).raw
        return raw

    def settled(self, sha: str) -> None:
        """The build of this commit has ended too."""
        wait_until(
            lambda: (self.runtime()["stage"], self.runtime()["sha"]) == ("RUNNING", sha), f"{sha} runs", 120
        )

    def turn_on(self) -> None:
        answer = httpx.put(
            f"{self.platform.url}/api/spaces/{self.space}/settings", json={"hotReload": True}, timeout=30,
            headers={"Authorization": f"Bearer {self.token}"},
        )  # fmt: skip
        assert answer.json()["hotReload"] is True


@contextlib.contextmanager
def visited(owner: Owner) -> Iterator[Owner]:
    """Visitors call it, and none of them notices anything."""
    with ThreadPoolExecutor(VISITORS) as pool:
        visits = [pool.submit(owner.visit) for _ in range(VISITORS)]
        try:
            yield owner
        finally:
            owner.end.set()
    for one in visits:
        one.result(60)


@pytest.fixture(params=["process_platform", pytest.param("platform", marks=pytest.mark.docker)])
def owner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Owner]:
    with visited(Owner(request.getfixturevalue(request.param), tmp_path)) as owner:
        yield owner


def test_an_edit_is_live_at_once_with_the_model_in_memory(owner: Owner) -> None:
    _, model = owner.answered()
    owner.edit("app.py", "first", "second")
    done = owner.platform.hf(
        owner.token, "spaces", "hot-reload", owner.space, "app.py", "-f", str(owner.folder / "app.py")
    )
    assert done.returncode == 0, done.stderr
    assert "Updated __main__.answer function" in done.stdout, done.stdout
    assert owner.answered() == ("second one", model)

    # With the setting on, so is any push, of any module.
    owner.turn_on()
    owner.edit("words.py", "one", "two")
    sha = owner.upload()
    assert owner.answered() == ("second two", model)
    owner.settled(sha)
    assert owner.answered() == ("second two", model), "it was not started anew when the build had ended"

    # The next start runs it as well.
    owner.platform.api(owner.token).restart_space(owner.space)
    owner.answered_by_another_than(model)
    assert owner.answered()[0] == "second two"


def test_what_cannot_be_taken_in_is_rolled_out(process_platform: Platform, tmp_path: Path) -> None:
    with visited(Owner(process_platform, tmp_path)) as owner:
        owner.turn_on()
        _, model = owner.answered()
        for name, old, new in (
            ("app.py", '"Ask"', '"Ask me"'),  # the page
            ("app.py", "def answer():", "def answer(again=1):"),  # the parameters of what visitors call
            ("app.py", "def answer(", "async def answer("),  # its kind
            ("words.py", "WORD =", 'if "WORD" in globals():\n    raise ValueError("again")\nWORD ='),
            ("README.md", "app_file", "title: Edited\napp_file"),
        ):
            owner.edit(name, old, new)
            owner.settled(owner.upload())
            owner.answered_by_another_than(model)
            _, model = owner.answered()
