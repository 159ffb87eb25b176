"""`make up` itself: progress, first login, a crash mended, Ctrl-C, and a second start that finds all."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial

import pytest
import requests
from gradio_client import Client

from tests.platform_server import APPS, Platform, process_home, running
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def here() -> Iterator[Platform]:
    """A platform of plain processes, which run on any machine, started with nothing there yet."""
    with process_home() as home, running(Platform("process", home)) as platform:
        yield platform


@pytest.fixture(scope="module")
def first_log(here: Platform) -> str:
    """What the first start said."""
    return here.log()


@pytest.fixture(scope="module")
def token(here: Platform, first_log: str) -> str:
    """Alice's, who has a Space."""
    token = here.token("alice")
    assert here.push("alice/stays", token, APPS / "echo") == "RUNNING"
    return token


def processes_of(platform: Platform) -> list[str]:
    """Command lines of all processes that have this platform's folder in their command or environment."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as command, open(f"/proc/{pid}/environ", "rb") as env:  # noqa: PTH123
                line = command.read()
                mine = str(platform.home).encode() in line + env.read()
        except OSError:
            continue
        if mine and line:
            found.append(f"{pid} " + line.replace(b"\0", b" ").decode())
    return found


def test_first_start_stop_and_second_start(here: Platform, first_log: str, token: str) -> None:
    first = re.search(r"Sign in   user admin, password (\S+)", first_log)
    assert first
    here.signed_in("admin", first[1])
    assert "hf upload admin/my-demo . --repo-type space" in first_log
    assert requests.get(f"{here.url}/healthz", timeout=10).json()["ok"] is True
    assert token.startswith("hf_")
    here.queue("alice/stays", token, max_size=7)
    valkey = json.loads((here.home / "valkey" / "address.json").read_text())["pid"]
    here.stop()
    wait_until(lambda: not processes_of(here), "nothing is left running", timeout_s=10)
    assert not os.path.exists(f"/proc/{valkey}")  # noqa: PTH110

    started = time.monotonic()
    here.start()
    print(f"second start: {time.monotonic() - started:.1f} s")
    assert "Sign in   as before" in here.log()
    assert here.queue("alice/stays", token)["max_size"] == 7
    answer = requests.get(f"{here.run_url('alice/stays')}config", timeout=60)
    assert answer.status_code == 200, answer.text
    assert Client(here.run_url("alice/stays"), verbose=False).predict("x", api_name="/echo")


def test_what_dies_is_started_again_and_said(here: Platform, token: str) -> None:
    valkey = json.loads((here.home / "valkey" / "address.json").read_text())["pid"]
    victims = {
        "web": pid_of(here, "manage.py web"),
        "node worker": pid_of(here, "manage.py node"),
        "Valkey": valkey,
    }
    for name, pid in victims.items():
        os.kill(pid, signal.SIGKILL)
        wait_until(partial(is_said, here, name), f"the death of {name} is said")
        wait_until(lambda: is_well(here), f"well after {name}", timeout_s=60)
    assert here.stage("alice/stays", token) == "RUNNING"
    assert Client(here.run_url("alice/stays"), verbose=False).predict("x", api_name="/echo")


def is_said(platform: Platform, name: str) -> bool:
    return f"{name} ended" in platform.log() or f"{name} died" in platform.log()


def pid_of(platform: Platform, part: str) -> int:
    """The process with this in its command line."""
    return int(next(line for line in processes_of(platform) if part in line).split()[0])


def is_well(platform: Platform) -> bool:
    try:
        return requests.get(f"{platform.url}/healthz", timeout=10).status_code == 200
    except (
        requests.ConnectionError,
        requests.Timeout,
    ):  # what comes while it is away waits for its successor
        return False


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SPACEPORT_RUNTIME", "podman", "auto, docker, process"),
        ("SPACEPORT_WEB_SERVER", "gunicorn", "daphne, uvicorn"),
        ("PORT", "eighty", "PORT"),
    ],
)
def test_bad_settings_are_refused_with_their_name(here: Platform, name: str, value: str, says: str) -> None:
    command = [os.sys.executable, "manage.py", "up"]  # type: ignore[attr-defined]
    answer = subprocess.run(
        command, env={**here.env, name: value}, capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode != 0
    assert says in answer.stderr + answer.stdout
