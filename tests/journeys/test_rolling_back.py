"""An owner goes back to the version before, and to the newest again, and no visitor who calls notices."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from gradio_client import Client

from tests.platform_server import Platform
from tests.waiting import wait_until

SPACE = "alice/goes-back"
VISITORS = 3
APP = """
import os
import time

import gradio as gr


def version():
    time.sleep(0.3)  # somebody always waits for an answer, and the machine has time for the rest
    return f"{version} {{os.getpid()}}"


with gr.Blocks() as demo:
    gr.Button().click(version, None, gr.Textbox(), api_name="version")
demo.launch()
"""


def test_the_version_before_answers_at_once_and_nobody_notices(
    process_platform: Platform, tmp_path: Path
) -> None:
    platform = process_platform
    token = platform.token("alice")
    visitors_end = threading.Event()
    answers: list[str] = []

    def visit() -> None:
        client = Client(platform.run_url(SPACE), verbose=False)
        while not visitors_end.is_set():
            answers.append(client.predict(api_name="/version"))

    def push(version: str) -> None:
        (tmp_path / "app.py").write_text(APP.format(version=version))
        assert platform.push(SPACE, token, tmp_path) == "RUNNING"

    def answered(since: int, expected: str) -> None:
        wait_until(lambda: len(answers) > since + 2 * VISITORS, "visitors are answered")
        assert {answer.split()[0] for answer in answers[since + VISITORS :]} == {expected}

    def go_back(revision: str) -> dict[str, object]:
        answer = httpx.post(
            f"{platform.url}/api/spaces/{SPACE}/rollback", json={"revision": revision}, timeout=30,
            headers={"Authorization": f"Bearer {token}"},
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        runtime: dict[str, object] = answer.json()
        return runtime

    push("first")
    first = platform.api(token).space_info(SPACE).sha or ""
    with ThreadPoolExecutor(VISITORS) as pool:
        visits = [pool.submit(visit) for _ in range(VISITORS)]
        try:
            wait_until(lambda: len(answers) > VISITORS, "visitors are answered")
            [before] = set(answers)
            push("second")
            answered(len(answers), "second")
            runtime = go_back(first[:7])
            assert (runtime["stage"], runtime["sha"]) == ("RUNNING", first)
            since = len(answers)
            answered(since, "first")
            assert answers[-1] == before, "the very process that ran it before"
            go_back("main")
            answered(len(answers), "second")
        finally:
            visitors_end.set()
        for one in visits:
            one.result(60)
