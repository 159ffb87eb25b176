"""A Space on three replicas, with a real Gradio app: sessions, files, generators; replicas die, come and go,
and a new version comes, while visitors call. No call is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from gradio_client import Client, handle_file

from tests.platform_server import Platform
from tests.waiting import wait_until

SPACE = "alice/many"
VISITORS = 6
APP = """
import os
import tempfile
import time
from pathlib import Path

import gradio as gr

VERSION = "{version}"


def count(before):
    time.sleep(0.05)
    return before + 1, f"{{before + 1}} {{os.getpid()}} {{VERSION}}"


def read(path):
    return f"{{Path(path).read_text()}} {{os.getpid()}}"


def write(text):
    path = Path(tempfile.mkdtemp()) / "written.txt"
    path.write_text(f"{{text}} {{os.getpid()}}")
    return str(path)


def steps():
    for number in range(4):
        time.sleep(0.02)
        yield f"{{number}} {{os.getpid()}}"


with gr.Blocks() as demo:
    state, text, file, written = gr.State(0), gr.Textbox(), gr.File(), gr.File()
    gr.Button().click(count, state, [state, text], api_name="count", concurrency_limit=2)
    gr.Button().click(read, file, text, api_name="read")
    gr.Button().click(write, text, written, api_name="write")
    gr.Button().click(steps, None, text, api_name="steps")
demo.launch()
"""


class Visitor:
    """One session that counts its calls."""

    def __init__(self, platform: Platform) -> None:
        self.client = Client(platform.run_url(SPACE), verbose=False)
        self.answers: list[tuple[int, int, str]] = []  # count, process, version

    def call(self) -> None:
        number, process, version = self.client.predict(api_name="/count").split()
        self.answers.append((int(number), int(process), version))

    @property
    def process(self) -> int:
        """Where its session is."""
        return self.answers[-1][1]


@pytest.fixture(scope="module")
def token(process_platform: Platform) -> str:
    return process_platform.token("alice")


def runtime(platform: Platform, token: str) -> dict[str, Any]:
    url = f"{platform.url}/api/spaces/{SPACE}/runtime"
    answer: dict[str, Any] = requests.get(url, headers=bearer(token), timeout=10).json()
    return answer


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def run_on(platform: Platform, token: str, count: int) -> None:
    url = f"{platform.url}/api/spaces/{SPACE}/replicas"
    answer = requests.post(url, json={"replicas": count}, headers=bearer(token), timeout=10)
    assert answer.status_code == 200, answer.text
    assert answer.json()["replicas"]["requested"] == count


def all_run(platform: Platform, token: str, count: int) -> set[str]:
    """Wait until they do; the Space's stages meanwhile."""
    stages = set[str]()

    def do() -> bool:
        now = runtime(platform, token)
        stages.add(now["stage"])
        return bool(now["replicas"] == {"current": count, "requested": count})

    wait_until(do, f"{count} run", 90)
    return stages


def leader(platform: Platform) -> int:
    """The process of the replica that leads."""
    query = "Space.objects.get(name='many').replica.runtime_id"
    found = platform.manage("shell", "-v", "0", "-c", f"from spaces.models import Space; print({query})")
    return int(found.split("-")[1])


def push(platform: Platform, token: str, folder: Path, version: str) -> None:
    (folder / "app.py").write_text(APP.format(version=version))
    assert platform.push(SPACE, token, folder) == "RUNNING"


@pytest.fixture
def space(process_platform: Platform, token: str, tmp_path: Path) -> Iterator[str]:
    """It runs on three."""
    push(process_platform, token, tmp_path, "first")
    run_on(process_platform, token, 3)
    all_run(process_platform, token, 3)
    yield SPACE
    process_platform.api(token).pause_space(SPACE)


@contextmanager
def calling(visitors: list[Visitor]) -> Iterator[Callable[[], None]]:
    """They call all the time, and every call is answered. The block gets a function to await answers."""
    end = threading.Event()

    def visit(visitor: Visitor) -> None:
        while not end.is_set():
            visitor.call()
            time.sleep(0.1)  # the machine has other things to do too

    def news() -> None:
        before = [len(visitor.answers) for visitor in visitors]
        wait_until(
            lambda: all(
                len(visitor.answers) > now + 1 or visit.done()
                for visitor, now, visit in zip(visitors, before, visits, strict=True)
            ),
            "each is answered twice more",
        )

    with ThreadPoolExecutor(len(visitors)) as pool:
        visits = [pool.submit(visit, visitor) for visitor in visitors]
        try:
            news()
            yield news
        finally:
            end.set()
        for one in visits:
            one.result(60)


def spread(platform: Platform) -> list[Visitor]:
    """Visitors whose sessions are on all three."""
    visitors = [Visitor(platform) for _ in range(VISITORS)]
    wait_until(lambda: spread_over(platform, visitors) == 3, "sessions are on all replicas")
    return visitors


def spread_over(platform: Platform, visitors: list[Visitor]) -> int:
    with ThreadPoolExecutor(len(visitors)) as pool:
        for done in [pool.submit(visitor.call) for visitor in visitors]:
            done.result(60)
    processes = len({visitor.process for visitor in visitors})
    if processes < 3:
        visitors.append(Visitor(platform))
    return processes


def is_unbroken(visitor: Visitor) -> bool:
    """Whether it counted on without a gap, in one process."""
    numbers = [number for number, _, _ in visitor.answers]
    return numbers == list(range(1, len(numbers) + 1)) and len({one for _, one, _ in visitor.answers}) == 1


def test_sessions_files_and_generators_stay_together_and_a_death_interrupts_nobody_else(
    process_platform: Platform, token: str, space: str, tmp_path: Path
) -> None:
    visitors = spread(process_platform)
    uploaded = tmp_path / "uploaded.txt"
    for number, visitor in enumerate(visitors):
        uploaded.write_text(f"upload-{number}")
        content, process = visitor.client.predict(handle_file(uploaded), api_name="/read").split()
        assert (content, int(process)) == (f"upload-{number}", visitor.process), (
            "the file came to the session"
        )
        written = Path(visitor.client.predict("text", api_name="/write"))
        assert written.read_text() == f"text {visitor.process}"
        steps = list(visitor.client.submit(api_name="/steps"))
        assert steps == [f"{step} {visitor.process}" for step in range(4)]
    raw = Client(process_platform.run_url(SPACE), verbose=False, download_files=False)
    for _ in range(3):  # wherever it lies, a stranger who has its address gets it
        found = raw.predict("text", api_name="/write")
        answer = requests.get(found["url"], timeout=30)
        assert (answer.status_code, answer.text[:5]) == (200, "text "), found

    with calling(visitors) as news:
        os.kill(leader(process_platform), signal.SIGKILL)
        wait_until(lambda: runtime(process_platform, token)["replicas"]["current"] < 3, "its death is seen")
        assert all_run(process_platform, token, 3) == {"RUNNING"}, "another one leads"
        news()
    moved = [visitor for visitor in visitors if not is_unbroken(visitor)]
    [died] = {visitor.answers[0][1] for visitor in moved}
    assert {visitor.answers[0][1] for visitor in visitors} > {died}
    assert all(visitor.process != died for visitor in moved)


def test_replicas_come_and_go_and_a_version_comes_while_visitors_call(
    process_platform: Platform, token: str, space: str, tmp_path: Path
) -> None:
    visitors = spread(process_platform)
    with calling(visitors) as news:
        run_on(process_platform, token, 1)
        all_run(process_platform, token, 1)
        news()
        assert len({visitor.process for visitor in visitors}) == 1
        run_on(process_platform, token, 2)
        all_run(process_platform, token, 2)
        push(process_platform, token, tmp_path, "second")
        all_run(process_platform, token, 2)
        news()
    assert {visitor.answers[-1][2] for visitor in visitors} == {"second"}
