"""An app by itself, and the same app as a Space."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import requests

from tests.census.script import App
from tests.platform_server import Platform, free_port
from tests.waiting import wait_until

START_S = 120
CARD = "---\ntitle: {}\nsdk: {}\n---\n"
DOCKERFILE = 'FROM spaceport/base:py3.11\nCOPY app.py /srv/\nCMD ["python", "/srv/app.py"]\n'


class DidNotStart(Exception):
    """The app does not serve; its last words."""


@contextlib.contextmanager
def files(app: App) -> Iterator[Path]:
    """The app's folder."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "app.py").write_text(app.source)
        (Path(folder) / "README.md").write_text(CARD.format(app.name, app.sdk))
        if app.sdk == "docker":
            (Path(folder) / "Dockerfile").write_text(DOCKERFILE)
        yield Path(folder)


@contextlib.contextmanager
def alone(app: App) -> Iterator[tuple[str, str]]:
    """The app by itself, started as `python app.py`: its address for programs and for browsers, the same.

    Raises:
        DidNotStart
    """
    port = free_port()
    ours = ("SPACEPORT_", "DJANGO_", "DATABASE", "REDIS", "GRADIO_", "HF_", "PYTHON")
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "PYTHONUNBUFFERED": "1",
    }
    with files(app) as folder, (folder / "log").open("wb") as log:
        env["TMPDIR"] = env["HOME"] = str(folder / "tmp")
        (folder / "tmp").mkdir()
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: process.poll() is not None or answers(url), f"{app.name} serves", START_S)
            if process.poll() is not None:
                raise DidNotStart((folder / "log").read_text()[-2000:])
            yield url, url
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def as_space(platform: Platform, token: str, app: App) -> Iterator[tuple[str, str]]:
    """The app pushed as a Space: its address for programs and for browsers.

    Raises:
        DidNotStart
    """
    space = f"census/{app.name.replace('_', '-')}"
    with files(app) as folder:
        stage = platform.push(space, token, folder, START_S, sdk=app.sdk)
    try:
        if stage != "RUNNING":
            reason = platform.api(token).get_space_runtime(space).raw.get("errorMessage")
            raise DidNotStart(f"{stage}: {reason}")
        yield platform.run_url(space).rstrip("/"), platform.demo_url(space).rstrip("/")
    finally:
        platform.api(token).delete_repo(space, repo_type="space")


def answers(url: str) -> bool:
    try:
        requests.get(url, timeout=5)
    except requests.RequestException:
        return False
    return True
