"""A new version takes over while a line waits that never empties: once it is said to run, nobody who comes is
served by the one before."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gradio_client import Client

from tests.platform_server import Platform
from tests.waiting import wait_until

SPACE = "alice/versions"
VISITORS = 5
LONG_S = 60.0  # more than a start, far less than an old replica may stay for calls that run on
APP = """
import time

import gradio as gr


def version():
    time.sleep(0.3)
    return "{version}"


with gr.Blocks() as demo:
    gr.Button().click(version, None, gr.Textbox(), api_name="version")
demo.launch()
"""


def test_who_comes_after_the_switch_meets_the_new_version(process_platform: Platform, tmp_path: Path) -> None:
    platform = process_platform
    token = platform.token("alice")

    def push(version: str) -> None:
        (tmp_path / "app.py").write_text(APP.format(version=version))
        assert platform.push(SPACE, token, tmp_path) == "RUNNING"

    push("first")
    answers: list[tuple[float, str]] = []
    stop = threading.Event()

    def visit() -> None:
        client = Client(platform.run_url(SPACE), verbose=False)
        while not stop.is_set():
            began = time.monotonic()
            answers.append((began, client.predict(api_name="/version")))

    with ThreadPoolExecutor(VISITORS) as pool:
        visitors = [pool.submit(visit) for _ in range(VISITORS)]
        try:
            wait_until(lambda: len(answers) > VISITORS, "all are in line")
            push("second")
            switched = time.monotonic()

            def came() -> list[str]:
                return [answer for began, answer in tuple(answers) if began > switched]

            wait_until(lambda: len(came()) >= 2 * VISITORS, "who came after it is served", LONG_S)
        finally:
            stop.set()
        for visitor in visitors:
            visitor.result(LONG_S)
    assert set(came()) == {"second"}
