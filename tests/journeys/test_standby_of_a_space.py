"""A platform with the engine and a container in standby: the next code and the next visitor of a Space that
sleeps are served by the container that waited. Other tests' platforms keep none: half of all containers would
be made for nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from gradio_client import Client

from tests.platform_server import Platform, prepared_home, running
from tests.waiting import wait_until

pytestmark = pytest.mark.docker

SPACE = "alice/has-standby"
APP = """
import socket

import gradio as gr

with gr.Blocks() as demo:
    gr.Button().click(lambda: f"{version} {{socket.gethostname()}}", None, gr.Textbox(), api_name="version")
demo.launch()
"""


@pytest.fixture(scope="module")
def with_standby() -> Iterator[Platform]:
    settings = {"SPACEPORT_STANDBY": "1"}
    with prepared_home(processes=False) as home, running(Platform("docker", home, settings=settings)) as made:
        yield made


def waiting(engine: docker.DockerClient) -> str:
    """The host name of the container that waits; "": none does."""
    ours: dict[str, Any] = {"name": "-standby-", "label": f"spaceport.space={SPACE}"}
    return "".join(str(one.id)[:12] for one in engine.containers.list(filters=ours))


def test_the_next_code_and_the_next_visitor_meet_the_container_that_waited(
    with_standby: Platform, tmp_path: Path
) -> None:
    token, engine = with_standby.token("alice"), docker.from_env()
    api: Any = with_standby.api(token)

    def served() -> list[str]:
        """The version, and its container's host name."""
        client = Client(with_standby.run_url(SPACE), verbose=False)
        return str(client.predict(api_name="/version")).split()

    (tmp_path / "app.py").write_text(APP.format(version="first"))
    assert with_standby.push(SPACE, token, tmp_path) == "RUNNING"
    waits = wait_until(lambda: waiting(engine), "a container waits", 120)
    assert served()[0] == "first"

    api.upload_file(
        path_or_fileobj=APP.format(version="second").encode(), path_in_repo="app.py",
        repo_id=SPACE, repo_type="space",
    )  # fmt: skip
    wait_until(lambda: served()[0] == "second", "the new code serves", 60)
    assert served() == ["second", waits]

    waits = wait_until(lambda: waiting(engine), "another container waits", 120)
    with_standby.put_to_sleep(SPACE, token)
    assert served() == ["second", waits]
    engine.close()
