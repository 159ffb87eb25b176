"""Spaces of every age on the platform with plain processes, clients of their age, Chromium.

What has to be installed for them (old Gradios, old clients, npm packages) is kept in
~/.cache/spaceport-tests, so only a machine's first run installs anything.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uv

from tests.platform_server import APPS, CACHE, Platform

#: Gradio, and the gradio_client that came with it and what that needs beside it.
AGES = {
    "3.50.2": ("0.6.1", ["gradio_client==0.6.1", "httpx<0.28", "huggingface_hub<0.26"]),
    "4.20.1": ("0.11.0", ["gradio_client==0.11.0", "httpx<0.28", "huggingface_hub<0.26"]),
    "4.44.1": ("1.3.0", ["gradio_client==1.3.0", "httpx<0.28", "huggingface_hub<0.26"]),
    "5.50.0": ("1.14.0", ["gradio_client==1.14.0", "huggingface_hub<1"]),
    "6.31.0": ("2.7.2", []),
}
NEWEST = "2.7.2"
HERE = Path(__file__).parent
READY_S = 300  # a first install included

Push = Callable[..., str]


@pytest.fixture(scope="session")
def owner(process_platform: Platform) -> str:
    """Alice's write token."""
    return process_platform.token("alice")


@pytest.fixture(scope="module")
def aged(
    process_platform: Platform, owner: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """The Space of this Gradio version, pushed at first use."""
    there: dict[str, str] = {}

    def space(version: str) -> str:
        if version not in there:
            name = f"alice/age{version.replace('.', '')}"
            folder = tmp_path_factory.mktemp("age")
            shutil.copy(APPS / "ages" / "app.py", folder)
            (folder / "README.md").write_text(f"---\nsdk: gradio\nsdk_version: {version}\n---\n")
            assert process_platform.push(name, owner, folder, timeout_s=READY_S) == "RUNNING"
            there[version] = name
        return there[version]

    return space


def client_python(version: str) -> str:
    """A Python that has this gradio_client; made at first use."""
    wanted = next(needs for client, needs in AGES.values() if client == version)
    return _python(f"gradio_client-{version}", wanted)


def hub_python(version: str) -> str:
    """A Python that has this huggingface_hub; made at first use."""
    return _python(f"huggingface_hub-{version}", [f"huggingface_hub=={version}", "hf_xet"])


def gradio_python(version: str) -> str:
    """A Python that has this Gradio; made at first use."""
    needs = AGES[version][1]
    return _python(f"gradio-{version}", [f"gradio=={version}", *needs] if needs else [])


def _python(name: str, wanted: list[str]) -> str:
    """A Python that has these packages; our own where nothing is wanted."""
    if not wanted:
        return sys.executable
    folder = CACHE / f"{name}-py{sys.version_info.major}{sys.version_info.minor}"
    python = folder / "bin" / "python"
    with locked(folder):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            command = [uv.find_uv_bin(), "venv", "-q", "--python", sys.executable, str(folder)]
            subprocess.run(command, check=True)
            command = [uv.find_uv_bin(), "pip", "install", "-q", "--python", str(python), *wanted]
            subprocess.run(command, check=True, timeout=READY_S)
            (folder / "complete").touch()
    return str(python)


def node_modules() -> Path:
    """A folder where Node finds the pinned npm packages; installed at first use."""
    pinned = (HERE / "js" / "package.json").read_bytes()
    folder = CACHE / "js"
    with locked(folder):
        there = folder / "package.json"
        if not (folder / "complete").exists() or there.read_bytes() != pinned:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            there.write_bytes(pinned)
            options = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
            subprocess.run(["npm", "install", *options], cwd=folder, check=True, timeout=READY_S)
            (folder / "complete").touch()
    return folder


class locked:  # reads as what it does
    """Only one process installs into this folder."""

    def __init__(self, folder: Path) -> None:
        CACHE.mkdir(parents=True, exist_ok=True)
        self.lock = (CACHE / f"{folder.name}.lock").open("w")

    def __enter__(self) -> None:
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.lock.close()


@pytest.fixture(scope="session")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Run `journey.py` with a gradio_client of this version against an address; what it saw, by name."""
    home = tmp_path_factory.mktemp("client")

    def run(version: str, url: str, *only: str) -> dict[str, Any]:
        env = {
            **os.environ,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HOME": str(home),
            "GRADIO_TEMP_DIR": str(home),
        }
        done = subprocess.run(
            [client_python(version), str(HERE / "journey.py"), url, *only],
            env=env, capture_output=True, text=True, timeout=150, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return seen

    return run
