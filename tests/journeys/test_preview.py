"""`manage.py preview`: a folder is a Space on one's own machine, and every save is live."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client

from tests.platform_server import ROOT, Platform, free_port, process_home
from tests.waiting import wait_until

APP = """
import gradio as gr

gr.Interface(lambda x: f"{x} {word}", "text", "text", api_name="say").launch()
"""


@pytest.fixture
def preview(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    folder = tmp_path / "my demo"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__pycache__" / "app.pyc").write_bytes(b"\0")
    (folder / "app.py").write_text(f"word = 'first'\n{APP}")
    (folder / "gone.txt").touch()
    with process_home() as home, (tmp_path / "said").open("wb") as said:
        port = free_port()
        running = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "preview", str(folder), "--port", str(port)],
            env=Platform(runtime="process", home=home, port=port).env,
            stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip
        yield running
        running.terminate()
        running.wait(60)


def test_a_folder_runs_and_each_save_is_live(preview: subprocess.Popen[bytes], tmp_path: Path) -> None:
    def said() -> list[str]:
        assert preview.poll() is None or preview.returncode == 0, (tmp_path / "said").read_text()
        return (tmp_path / "said").read_text().splitlines()

    wait_until(lambda: said()[-1:] == ["RUNNING"], "it runs", 120)
    assert said()[0].startswith("Sign in   user admin, password")
    address = said()[1].split()[0]
    assert address.endswith("/admin/my-demo")
    client = Client(address.replace("/admin/", "/run/admin/"), verbose=False)
    assert client.predict("hello", api_name="/say") == "hello first"

    folder = tmp_path / "my demo"
    (folder / "gone.txt").unlink()
    (folder / "README.md").write_text("---\nsdk: nonsense\n---\n")
    wait_until(lambda: any(line.startswith("Not pushed") for line in said()), "a bad card is refused")
    (folder / "README.md").write_text("---\ntitle: Mine\nsdk: gradio\n---\n")
    (folder / "app.py").write_text(f"word = 'second'\n{APP}")
    wait_until(lambda: client.predict("hello", api_name="/say") == "hello second", "the save is live", 60)
    files = client_files(address)
    assert "README.md" in files
    assert "gone.txt" not in files
    assert not any("__pycache__" in name for name in files)

    os.kill(preview.pid, signal.SIGINT)
    assert preview.wait(60) == 0, said()


def client_files(address: str) -> list[str]:
    from huggingface_hub import HfApi

    url, _, space = address.partition("/admin/")
    return list(HfApi(url, token=False).list_repo_files(f"admin/{space}", repo_type="space"))
