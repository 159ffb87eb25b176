"""Pushes while visitors call and open the page, one of them broken, one that installs something: no call and
no page load fails, and what visitors meet is always the last version that works."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from gradio_client import Client

from tests.platform_server import Platform
from tests.waiting import wait_until

SPACE = "alice/pushed-often"
VISITORS, READERS = 4, 2
PAUSE_S = 0.3  # between two loads of one reader
APP = """
import time

import gradio as gr


def version():
    time.sleep(0.3)  # somebody always waits for an answer, and the machine has time for the rest
    return {version}


with gr.Blocks() as demo:
    gr.Button().click(version, None, gr.Number(), api_name="version")
demo.launch()
"""
BROKEN = "raise RuntimeError('a bug')\n"
INSTALLS = "iniconfig==2.1.0\n"


def test_nobody_notices_pushes(process_platform: Platform, tmp_path: Path) -> None:
    platform, token = process_platform, process_platform.token("alice")
    over = threading.Event()
    answers: list[int] = []
    loads = itertools.count()

    def visit() -> None:
        client = Client(platform.run_url(SPACE), verbose=False)
        while not over.is_set():
            answers.append(client.predict(api_name="/version"))

    def read() -> None:
        while not over.is_set():
            page = requests.get(
                f"http://127.0.0.1:{platform.port}/", timeout=60,
                headers={"Host": f"alice-pushed-often.localhost:{platform.port}"},
            )  # fmt: skip
            assert "gradio_config" in page.text, (page.status_code, page.text[:500])
            next(loads)
            over.wait(PAUSE_S)

    def push(source: str, requirements: str = "") -> str:
        (tmp_path / "app.py").write_text(source)
        (tmp_path / "requirements.txt").write_text(requirements)
        return platform.push(SPACE, token, tmp_path)

    def met(version: int) -> None:
        since = len(answers) + VISITORS  # those under way may be of the version before
        wait_until(lambda: len(answers) > since + VISITORS, "visitors are answered")
        assert set(answers[since:]) == {version}

    assert push(APP.format(version=0)) == "RUNNING"
    with ThreadPoolExecutor(VISITORS + READERS) as pool:
        people = [pool.submit(visit) for _ in range(VISITORS)] + [pool.submit(read) for _ in range(READERS)]
        try:
            for version in (1, 2):
                assert push(APP.format(version=version)) == "RUNNING"
                met(version)
            assert push(BROKEN) == "RUNTIME_ERROR"
            met(2)
            assert push(APP.format(version=3), INSTALLS) == "RUNNING"
            met(3)
            assert push(APP.format(version=4), INSTALLS) == "RUNNING"
            met(4)
        finally:
            over.set()
        for one in people:
            one.result(60)
    assert next(loads) > READERS
