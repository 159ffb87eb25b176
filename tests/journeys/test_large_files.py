"""Apps of every kind find their large files, and no pointers, whatever the runtime."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest
import requests
from gradio_client import Client
from huggingface_hub import constants

from tests.platform_server import ROOT, Platform, engine_answers

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the client's own
SIZE = 2_500_000  # above the limit of an ordinary file there
APP = """
import hashlib
import pathlib

import gradio as gr


def digest():
    return hashlib.sha256(pathlib.Path("m/model.bin").read_bytes()).hexdigest()


gr.Interface(digest, None, "text", api_name="digest").launch()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a large file in it."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.bin").write_bytes(os.urandom(SIZE))
    return tmp_path


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "m" / "model.bin").read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", ["platform", "process_platform"])
def test_a_gradio_space_reads_its_model(kind: str, folder: Path, request: pytest.FixtureRequest) -> None:
    platform: Platform = request.getfixturevalue(kind)
    token = platform.token("alice")
    (folder / "app.py").write_text(APP)
    assert platform.push("alice/model", token, folder) == "RUNNING"
    client = Client(platform.run_url("alice/model"), verbose=False)
    assert client.predict(api_name="/digest") == digest(folder)


@pytest.mark.docker
def test_a_docker_space_copies_its_model(platform: Platform, alice: str, folder: Path) -> None:
    if not engine_answers():
        pytest.skip("no Docker engine answers")
    shutil.copytree(ROOT / "examples" / "docker", folder, dirs_exist_ok=True)
    recipe = folder / "Dockerfile"
    check = f'RUN test "$(sha256sum m/model.bin | cut -c1-64)" = {digest(folder)}\n'
    before, command, after = recipe.read_text().rpartition("CMD")
    recipe.write_text(f"{before}COPY m/model.bin m/model.bin\n{check}{command}{after}")
    assert platform.push("alice/docked-model", alice, folder, sdk="docker") == "RUNNING"


def test_a_static_space_serves_its_model(platform: Platform, alice: str, folder: Path) -> None:
    (folder / "index.html").write_text("<p>scene</p>")
    (folder / "README.md").write_text("---\nsdk: static\n---\n")
    assert platform.push("alice/scene", alice, folder, sdk="static") == "RUNNING"
    host = {"Host": f"alice-scene.localhost:{platform.port}"}
    answer = requests.get(f"{platform.url}/m/model.bin", headers=host, timeout=10)
    assert hashlib.sha256(answer.content).hexdigest() == digest(folder)
