"""Installs of the process runtime end with the worker that began them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from hardware.runtimes import venvs
from hardware.runtimes.base import BuildFailed
from tests.platform_server import ROOT
from tests.waiting import wait_until

SLEEPS = "8.642"
WORKER = f"""
import threading
from pathlib import Path
from hardware.runtimes import venvs
threading.Thread(target=venvs.run, args=(["/bin/sleep", "{SLEEPS}"], Path("/"), 60, print)).start()
"""


def installs() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().endswith(f"sleep\0{SLEEPS}\0".encode()):
                found.append(path.parent.name)
    return found


def test_an_install_ends_with_its_killed_worker() -> None:
    worker = subprocess.Popen([sys.executable, "-c", WORKER], cwd=ROOT)
    wait_until(installs, "it installs")
    worker.kill()
    worker.wait()
    wait_until(lambda: not installs(), "nothing is left of it", 5)


def test_an_install_says_how_it_ended(tmp_path: Path) -> None:
    said: list[str] = []
    venvs.run(["/bin/echo", "one", "two"], tmp_path, 10, said.append)
    assert said == ["one two"]
    with pytest.raises(BuildFailed):
        venvs.run(["/bin/false"], tmp_path, 10, said.append)
