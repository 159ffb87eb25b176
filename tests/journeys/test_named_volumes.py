"""A named volume as its owner uses it: Spaces share it, and it outlives their versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client
from huggingface_hub import HfApi, Volume
from huggingface_hub.errors import HfHubHTTPError

from tests.platform_server import Platform
from tests.waiting import wait_until

APP = """
from pathlib import Path

import gradio as gr

NOTE = Path.home() / "store" / "note"


def write(text):
    NOTE.write_text(text)
    return "VERSION"


def read():
    return "VERSION: " + (NOTE.read_text() if NOTE.exists() else "nothing")


with gr.Blocks() as demo:
    text = gr.Textbox()
    gr.Button("Write").click(write, text, gr.Textbox(), api_name="write")
    gr.Button("Read").click(read, None, gr.Textbox(), api_name="read")
demo.launch()
"""
WRITES, READS = "alice/writes", "alice/reads"
STORE = Volume(type="bucket", source="alice/shared", mount_path="/home/user/store")


@pytest.mark.parametrize("runtime", ["process_platform", pytest.param("platform", marks=pytest.mark.docker)])
def test_spaces_share_a_volume_that_outlives_their_versions(
    request: pytest.FixtureRequest, runtime: str, tmp_path: Path
) -> None:
    platform: Platform = request.getfixturevalue(runtime)
    token = platform.token("alice")
    api: HfApi = platform.api(token)

    def push(space: str, version: str, **create: Any) -> None:
        (tmp_path / "app.py").write_text(APP.replace("VERSION", version))
        assert platform.push(space, token, tmp_path, **create) == "RUNNING"

    def read(space: str) -> str:
        return str(Client(platform.run_url(space), verbose=False).predict(api_name="/read"))

    api.create_bucket("alice/shared")
    push(WRITES, "first", space_volumes=[STORE])
    push(READS, "other", space_volumes=[STORE])
    assert read(READS) == "other: nothing"
    Client(platform.run_url(WRITES), verbose=False).predict("kept", api_name="/write")
    assert read(READS) == "other: kept"

    push(WRITES, "second")
    wait_until(lambda: read(WRITES) == "second: kept", "the next version has it", 60)
    with pytest.raises(HfHubHTTPError, match="is mounted by alice/"):
        api.delete_bucket("alice/shared")
    api.delete_space_volumes(READS)
    wait_until(lambda: read(READS) == "other: nothing", "it is not there any more", 60)
    assert read(WRITES) == "second: kept"
    for space in (WRITES, READS):
        api.delete_repo(space, repo_type="space")
    api.delete_bucket("alice/shared")
