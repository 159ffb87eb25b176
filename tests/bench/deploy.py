"""How long until visitors meet what was pushed, and whether those who call meanwhile notice."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import count
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Self

import requests

from tests.bench.large_files import large_files
from tests.bench.sides import Bench
from tests.platform_server import free_port
from tests.waiting import wait_until

#: Each calls again so many seconds after its answer.
VISITORS, PAUSE_S = 10, 1.0
#: Longer than it takes after a start until a container waits for the next one.
EDIT_S = 30
APP = """
import gradio as gr


def version():
    return "{version}"


with gr.Blocks() as demo:
    gr.Button().click(version, None, gr.Textbox(), api_name="version")
demo.launch()
"""
SMALL, OTHER = "colorama==0.4.6\n", "iniconfig==2.1.0\n"
_versions = count(1)


def deploy(bench: Bench) -> None:
    """Seconds from the push, or from the click, to the first answer of the version; calls that failed."""
    print("\n| what | seconds to the first answer | calls meanwhile | failed |\n|---|---|---|---|")
    rounds = range(bench.options.rounds)
    _row("`python app.py` by itself", [_alone() for _ in rounds])
    _row("first push of a Space", [_push(bench, f"bench/new-{number}") for number in rounds])
    space = "bench/deployed"
    _push(bench, space)
    _push(bench, "bench/other", SMALL)
    _row("code-only push, nobody calls", [_push(bench, space) for _ in rounds if _edited(bench)])
    with _Visitors(bench.base(space)) as visits:
        _row("code-only push", [_push(bench, space) for _ in rounds if _edited(bench)], visits)
        _settings(bench, space, hotReload=True)
        _row("the same with hot reload", [_push(bench, space) for _ in rounds], visits)
        _settings(bench, space, hotReload=False)
        _row("requirements, installed before", [_push(bench, space, SMALL) for _ in rounds], visits)
        _row("requirements, new", [_push(bench, space, OTHER)], visits)
        _row("roll back", [_roll_back(bench, space) for _ in rounds], visits)
    _row("a sleeping Space wakes", [_wake(bench, space) for _ in rounds if _edited(bench)])
    large_files(bench)


def _row(what: str, took: list[float], visits: _Visitors | None = None) -> None:
    calls = visits.since_the_last_row() if visits is not None else " | "
    print(f"| {what} | {statistics.median(took):.2f} | {calls} |", flush=True)


def _alone() -> float:
    version = f"v{next(_versions)}"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "app.py").write_text(APP.format(version=version))
        port, began = free_port(), time.monotonic()
        env = {**os.environ, "GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
        app = subprocess.Popen([sys.executable, "app.py"], cwd=folder, env=env, stdout=subprocess.DEVNULL)
        try:
            return _until(lambda: _answer(f"http://127.0.0.1:{port}/gradio_api"), version, began)
        finally:
            app.kill()
            app.wait()


def _edited(bench: Bench) -> bool:
    """True, once as much time has passed as an owner needs for an edit."""
    if bench.platform.runtime == "docker":
        time.sleep(EDIT_S)
    return True


def _push(bench: Bench, space: str, requirements: str = "") -> float:
    version = f"v{next(_versions)}"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "app.py").write_text(APP.format(version=version))
        if requirements:
            (Path(folder) / "requirements.txt").write_text(requirements)
        api = bench.platform.api(bench.token)
        began = time.monotonic()
        api.create_repo(space, repo_type="space", space_sdk="gradio", exist_ok=True)
        api.upload_folder(
            repo_id=space, repo_type="space", folder_path=folder, delete_patterns="requirements.txt"
        )
        return _until(lambda: _answer(bench.base(space)), version, began)


def _roll_back(bench: Bench, space: str) -> float:
    """Back to the version before, which has just been replaced."""
    before = _answer(bench.base(space))
    sha = bench.platform.api(bench.token).get_space_runtime(space).raw["sha"]
    _push(bench, space)
    began = time.monotonic()
    _send(bench, space, "rollback", {"revision": sha})
    return _until(lambda: _answer(bench.base(space)), before, began)


def _wake(bench: Bench, space: str) -> float:
    api = bench.platform.api(bench.token)
    version = _answer(bench.base(space))
    api.set_space_sleep_time(space, sleep_time=1)
    wait_until(lambda: bench.platform.stage(space, bench.token) == "SLEEPING", "it sleeps", 60)
    took = first_answer(bench, space, version)
    api.set_space_sleep_time(space, sleep_time=-1)
    return took


class _Visitors:
    """Some that call again and again, in a process of their own, and so cost the one that pushes nothing."""

    def __init__(self, base: str) -> None:
        fork = multiprocessing.get_context("fork")
        self._calls, self._failed = fork.Value("L"), fork.Value("L")
        self._process = fork.Process(target=_visit, args=(base, self._calls, self._failed), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def since_the_last_row(self) -> str:
        """How many calls, and how many of them failed."""
        found = f"{self._calls.value} | {self._failed.value}"
        self._calls.value = self._failed.value = 0
        return found


def _visit(base: str, calls: Synchronized[int], failed: Synchronized[int]) -> None:
    def visit() -> None:
        while True:
            answered = _answer(base) != ""
            with calls.get_lock():
                calls.value += 1
                failed.value += not answered
            time.sleep(PAUSE_S)

    visitors = [threading.Thread(target=visit) for _ in range(VISITORS)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()


def _until(answer: Callable[[], str], version: str, began: float) -> float:
    while answer() != version:
        time.sleep(0.01)
    return time.monotonic() - began


def _answer(base: str) -> str:
    """What the app answers; "" for anything else than an answer."""
    try:
        joined = requests.post(f"{base}/call/version", json={"data": []}, timeout=120)
        event = joined.json()["event_id"]
        stream = requests.get(f"{base}/call/version/{event}", timeout=120).text
    except (requests.RequestException, ValueError, KeyError):
        return ""
    said, _, data = stream.rpartition("event: complete\ndata: ")
    return data.strip().strip('[]"') if said or data != stream else ""


def first_answer(bench: Bench, space: str, version: str) -> float:
    """Seconds until a Space with this app answers with its version."""
    return _until(lambda: _answer(bench.base(space)), version, time.monotonic())


def _settings(bench: Bench, space: str, **values: bool) -> None:
    answer = requests.put(_api(bench, space, "settings"), json=values, headers=_headers(bench), timeout=30)
    answer.raise_for_status()


def _send(bench: Bench, space: str, what: str, values: dict[str, str]) -> None:
    requests.post(
        _api(bench, space, what), json=values, headers=_headers(bench), timeout=30
    ).raise_for_status()


def _api(bench: Bench, space: str, what: str) -> str:
    return f"{bench.platform.url}/api/spaces/{space}/{what}"


def _headers(bench: Bench) -> dict[str, str]:
    return {"Authorization": f"Bearer {bench.token}"}
