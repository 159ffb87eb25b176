"""A Space with a range of replicas and a real app: visitors come in a crowd, a second replica serves them
too, and goes when it is not needed any more. No call is lost."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from tests.platform_server import Platform
from tests.waiting import wait_until

SPACE = "alice/elastic"
VISITORS = 8
APP = """
import os
import time

import gradio as gr


def work():
    time.sleep(0.5)
    return os.getpid()


with gr.Blocks() as demo:
    number = gr.Number()
    gr.Button().click(work, None, number, api_name="work")
demo.launch()
"""
RANGE = {"min_replicas": 1, "max_replicas": 2, "goal_p90_s": 1, "quiet_s": 2}


@pytest.fixture(scope="module")
def token(process_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    found = process_platform.token("alice")
    folder = tmp_path_factory.mktemp("elastic")
    (folder / "app.py").write_text(APP)
    assert process_platform.push(SPACE, found, folder) == "RUNNING"
    yield found
    process_platform.api(found).pause_space(SPACE)


def replicas(platform: Platform, token: str, wanted: dict[str, Any] | None = None) -> dict[str, Any]:
    """As they are, after this change of them."""
    url, headers = f"{platform.url}/api/spaces/{SPACE}/replicas", {"Authorization": f"Bearer {token}"}
    if wanted is not None:
        answer = requests.post(url, json=wanted, headers=headers, timeout=10)
        assert answer.status_code == 200, answer.text
    found: dict[str, Any] = requests.get(url, headers=headers, timeout=10).json()
    return found


def call(platform: Platform) -> int:
    """The process that answered a new visitor."""
    url = f"{platform.run_url(SPACE)}gradio_api/call/work"
    event = requests.post(url, json={"data": []}, timeout=30).json()["event_id"]
    answer = requests.get(f"{url}/{event}", timeout=60).text
    kind, data = answer.strip().rsplit("\n\n", 1)[-1].split("\n")
    assert kind == "event: complete", answer
    [process] = json.loads(data.removeprefix("data: "))
    return int(process)


@contextmanager
def a_crowd(platform: Platform) -> Iterator[list[int]]:
    """Visitor after visitor, several at once, while the block lasts: the processes that answered."""
    end, answered = threading.Event(), list[int]()

    def visit() -> None:
        while not end.is_set():
            answered.append(call(platform))

    with ThreadPoolExecutor(VISITORS) as pool:
        visits = [pool.submit(visit) for _ in range(VISITORS)]
        try:
            yield answered
        finally:
            end.set()
        for one in visits:
            one.result(60)


def test_a_crowd_makes_a_second_replica_which_serves_and_goes(process_platform: Platform, token: str) -> None:
    assert replicas(process_platform, token, RANGE)["range"] == RANGE
    with a_crowd(process_platform) as answered:
        wait_until(lambda: len(set(answered)) == 2, "two processes answer", 60)
        found = replicas(process_platform, token)
        assert (found["current"], found["requested"]) == (2, 2)
        wait_until(
            lambda: replicas(process_platform, token)["now"].startswith("2 of 1 to 2 replicas: about "),
            "the wait is known", 60,
        )  # fmt: skip
    wait_until(lambda: replicas(process_platform, token)["current"] == 1, "the second one is not needed", 60)
    down, up = replicas(process_platform, token)["steps"]
    assert (up["before"], up["after"]) == (1, 2)
    assert "waiting at p90, goal 1.0 s" in up["reason"] or "calls of unknown length" in up["reason"]
    assert (down["before"], down["after"]) == (2, 1)
    assert call(process_platform) in answered, "the first one goes on"
