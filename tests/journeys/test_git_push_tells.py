"""A whole platform: `git push` shows the build until the Space runs, a webhook hears of it by Celery, and
agents read how to call it."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from gradio_client import Client

from tests.platform_server import Platform
from tests.spaces.receiver import Receiver, receiver
from tests.waiting import wait_until

_numbers = itertools.count(1)
APP = """
import gradio as gr


def greet(name: str, times: int = 2) -> str:
    '''Say hello, and `mean` it.'''
    return " ".join([f"Hello {name}!"] * int(times))


inputs = [gr.Textbox(label="Name"), gr.Number(2, label="Times")]
gr.Interface(greet, inputs, "text", api_name="greet").launch()
"""


@pytest.fixture(scope="module")
def platform(process_platform: Platform) -> Platform:
    return process_platform


@pytest.fixture(scope="module")
def token(platform: Platform) -> str:
    return platform.token("alice")


@pytest.fixture
def space(platform: Platform, token: str) -> Iterator[str]:
    """Its app is not pushed yet."""
    space, api = f"alice/by-git-{next(_numbers)}", platform.api(token)
    api.create_repo(space, repo_type="space", space_sdk="gradio")
    yield space
    api.delete_repo(space, repo_type="space")


@pytest.fixture
def work(platform: Platform, token: str, space: str, tmp_path: Path) -> Path:
    """The Space's clone."""
    folder = tmp_path / "work"
    remote = f"http://alice:{token}@127.0.0.1:{platform.port}/spaces/{space}"
    git(folder.parent, "clone", remote, str(folder))
    return folder


def git(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*arguments),
        cwd=cwd, env=environment(cwd), capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


def command(*arguments: str) -> list[str]:
    return ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]


def environment(cwd: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(cwd), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}


def push(work: Path, app: str) -> str:
    """What git shows of it."""
    (work / "app.py").write_text(app)
    git(work, "add", "-A")
    git(work, "commit", "-m", "change")
    return git(work, "push", "origin", "HEAD:main").stderr


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def test_a_push_shows_its_build_until_the_space_runs(
    platform: Platform, token: str, space: str, work: Path, there: Receiver
) -> None:
    watched: Any = [{"type": "space", "name": space}]
    domains: Any = ["repo", "space"]
    hook = platform.api(token).create_webhook(url=there.url, watched=watched, domains=domains)
    shown = push(work, APP)
    assert f"remote: Building {space} at " in shown
    assert f"{space} runs: " in shown
    assert "remote: | " in shown  # the build's own lines
    assert platform.stage(space, token) == "RUNNING"
    expected = ["repo.content update", *["space.build update"] * 2, *["space.stage update"] * 3]
    wait_until(lambda: sorted(there.scopes()) == sorted(expected), f"the webhook is told: {there.scopes()}")
    told = [one for one in there.events() if one["event"]["scope"] == "space.build"]
    assert {one["build"]["status"] for one in told} == {"running", "succeeded"}
    platform.api(token).delete_webhook(hook.id)


def test_agents_read_how_to_call_it(platform: Platform, token: str, space: str, work: Path) -> None:
    push(work, APP)
    url = f"{platform.url}/spaces/{space}/agents.md"
    wait_until(lambda: "`/greet`" in requests.get(url, timeout=10).text, "what it offers is kept")
    answer = requests.get(url, timeout=10)
    assert answer.headers["Content-Type"] == "text/markdown; charset=utf-8"
    assert "| `name` | `str` | required |" in answer.text
    assert "| `times` | `float` | `2` |" in answer.text
    assert "Say hello, and 'mean' it." in answer.text
    [python] = re.findall(r"```python\n(.*?)```", answer.text, flags=re.S)
    [shell] = re.findall(r"```sh\n(.*?)```", answer.text, flags=re.S)
    said: list[object] = []
    exec(python, {"print": said.append})  # noqa: S102  # as its reader would run it
    assert said == [Client(platform.run_url(space), verbose=False).predict("Hello!!", 3, api_name="/greet")]
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60, check=True)
    assert "Hello Hello!!!" in done.stdout
    platform.api(token).update_repo_settings(space, repo_type="space", visibility="private")
    assert requests.get(url, timeout=10).status_code == 401
    private = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10).text
    assert 'Authorization: Bearer $HF_TOKEN"' in private
    platform.api(token).update_repo_settings(space, repo_type="space", visibility="public")


def test_a_push_that_breaks_the_app_says_why(space: str, work: Path) -> None:
    shown = push(work, "raise RuntimeError('no such luck')\n")
    assert "does not run (RUNTIME_ERROR)" in shown
    (work / "requirements.txt").write_text("no-such-package-anywhere-at-all==1\n")
    shown = push(work, APP)
    assert f"{space} is not built: " in shown
    (work / "requirements.txt").unlink()
    assert f"{space} runs: " in push(work, APP)


def test_who_stops_waiting_stops_only_that(platform: Platform, token: str, space: str, work: Path) -> None:
    slow = "import time\ntime.sleep(3)\n" + APP.replace("Hello", "Later")
    (work / "app.py").write_text(slow)
    git(work, "add", "app.py")
    git(work, "commit", "-m", "slow")
    log = work.parent / "push.log"
    with log.open("wb") as out:
        program = subprocess.Popen(
            command("push", "origin", "HEAD:main"), cwd=work, env=environment(work), stdout=out, stderr=out,
            start_new_session=True,
            # Where the tests run in the background of a shell, programs ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
    wait_until(lambda: "remote: Building" in log.read_text(), "the build is shown")
    os.killpg(program.pid, signal.SIGINT)
    program.wait(30)
    assert "runs:" not in log.read_text()
    head = git(work, "rev-parse", "HEAD").stdout.strip()
    runtime = f"{platform.url}/api/spaces/{space}/runtime"
    headers = {"Authorization": f"Bearer {token}"}
    wait_until(
        lambda: requests.get(runtime, headers=headers, timeout=10).json()["sha"] == head,
        "it runs all the same",
        90,
    )


def test_a_push_of_another_branch_waits_for_nothing(work: Path) -> None:
    git(work, "checkout", "-b", "side")
    git(work, "commit", "--allow-empty", "-m", "side")
    shown = git(work, "push", "origin", "side").stderr
    assert "Building" not in shown
