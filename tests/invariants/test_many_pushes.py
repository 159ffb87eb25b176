"""Pushes while visitors call and open the page, one of them broken, one that installs something: no call and
no page load fails, and what visitors meet is always the last version that works: once it is said to run,
nobody who comes is served by the one before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from gradio_client import Client

from tests.platform_server import Platform
from tests.waiting import wait_until

SPACE = "alice/pushed-often"
BROWSERS, PROGRAMS = 46, 4
PUSHES, BROKEN, INSTALLS = 10, 3, 6
PAUSE_S = 4.0  # of a visitor between two visits: about a third of them wait for an answer
LONG_S = 60.0  # more than a start, far less than an old replica may stay for calls that run on
APP = """
import time

import gradio as gr


def version():
    time.sleep(0.5)  # somebody always waits for an answer, and the machine has time for the rest
    return {version}


with gr.Blocks() as demo:
    gr.Button().click(version, None, gr.Number(), api_name="version", concurrency_limit=4)
demo.launch()
"""


class Visitors:
    """They call again and again, with pauses; what they were answered, and when they asked."""

    def __init__(self, platform: Platform) -> None:
        self.platform, self.over = platform, threading.Event()
        self.answers: list[tuple[float, int]] = []

    def browse(self) -> None:
        """Load the page, then call, as a browser does."""
        with requests.Session() as browser:
            self._visit(lambda: self._loaded_and_called(browser))

    def run(self) -> None:
        """Call as a program."""
        client = Client(self.platform.run_url(SPACE), verbose=False)
        self._visit(lambda: client.predict(api_name="/version"))

    def met(self, version: int) -> None:
        """Whoever asks from now on meets this version."""
        since = time.monotonic()

        def later() -> list[int]:
            return [answer for began, answer in tuple(self.answers) if began > since]

        wait_until(lambda: len(later()) > PROGRAMS, "visitors are answered", LONG_S)
        assert set(later()) == {version}

    def _visit(self, call: Callable[[], int]) -> None:
        while not self.over.is_set():
            began = time.monotonic()
            self.answers.append((began, call()))
            self.over.wait(PAUSE_S)

    def _loaded_and_called(self, browser: requests.Session) -> int:
        port, call = self.platform.port, f"{self.platform.run_url(SPACE)}gradio_api/call/version"
        home = {"Host": f"alice-pushed-often.localhost:{port}"}
        page = browser.get(f"http://127.0.0.1:{port}/", timeout=LONG_S, headers=home)
        assert "gradio_config" in page.text, (page.status_code, page.text[:500])
        event = browser.post(call, json={"data": []}, timeout=LONG_S).json()["event_id"]
        text = browser.get(f"{call}/{event}", timeout=LONG_S).text
        _, complete, data = text.rpartition("event: complete\ndata: ")
        assert complete, text
        return int(data.strip().strip("[]"))


def test_nobody_notices_pushes(process_platform: Platform, tmp_path: Path) -> None:
    platform, token = process_platform, process_platform.token("alice")

    def push(version: int) -> None:
        (tmp_path / "app.py").write_text(
            "raise RuntimeError('a bug')\n" if version == BROKEN else APP.format(version=version)
        )
        (tmp_path / "requirements.txt").write_text("iniconfig==2.1.0\n" if version >= INSTALLS else "")
        stage = "RUNTIME_ERROR" if version == BROKEN else "RUNNING"
        assert platform.push(SPACE, token, tmp_path) == stage

    push(0)
    visitors = Visitors(platform)
    with ThreadPoolExecutor(BROWSERS + PROGRAMS) as pool:
        people = [pool.submit(visitors.browse) for _ in range(BROWSERS)]
        people += [pool.submit(visitors.run) for _ in range(PROGRAMS)]
        try:
            for version in range(1, PUSHES + 1):
                push(version)
                visitors.met(version - 1 if version == BROKEN else version)
        finally:
            visitors.over.set()
        for one in people:
            one.result(LONG_S)
    assert len(visitors.answers) > 2 * len(people)
