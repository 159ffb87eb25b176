"""What a Space loads from a hub: from the internet once, then from its own disk; or from its image."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from hardware import readiness
from hardware.runtimes.base import Artifact, BuildSpec, ReplicaSpec
from hardware.runtimes.environment import launcher_environment
from tests.hardware.engine import docker_runtime
from tests.internet import internet
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_django.fixtures import Settings

    from hardware.runtimes.docker import DockerRuntime
    from tests.internet import Internet

APP = """
import gradio as gr
from huggingface_hub import hf_hub_download

for name in ("org/small", "org/other"):
    print("HAS", open(hf_hub_download(name, "weights.txt")).read(), flush=True)
gr.Interface(lambda x: x, "text", "text").launch()
"""
FILES = {
    "org/small/weights.txt": "preloaded",
    "org/other/weights.txt": "loaded",
    "org/small/more.txt": "more",
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Internet]:
    with internet(tmp_path, FILES) as made:
        yield made


@pytest.fixture
def runtime(tmp_path: Path, world: Internet) -> Iterator[DockerRuntime]:
    made = docker_runtime(tmp_path / "home")
    yield made
    made.dispose()


def run_once(runtime: DockerRuntime, artifact: Artifact, replica: int, hub: str, egress: str) -> list[str]:
    """Start it, and what it said it has once it can be called."""
    spec = ReplicaSpec(
        space="alice/models", space_id=1, sdk="gradio", artifact=artifact, tier="cpu", egress=egress,
        env={"HF_ENDPOINT": hub},
    )  # fmt: skip
    running = runtime.start(replica, spec)

    def is_ready() -> bool:
        assert (end := runtime.poll(running.runtime_id)) is None, end
        return asyncio.run(readiness.probe(running.address, "gradio")) is not None

    wait_until(is_ready, "it is ready", 90)
    runtime.client.api.kill(running.runtime_id)
    said = [line.text for line in runtime.logs(running.runtime_id)]
    runtime.stop(running.runtime_id)
    return [line for line in said if line.startswith("HAS")]


@pytest.mark.docker
@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root")
def test_files_come_from_the_image_or_once_from_the_hub(
    runtime: DockerRuntime, world: Internet, tmp_path: Path, settings: Settings
) -> None:
    settings.SPACEPORT_HF_ENDPOINT = hub = f"http://{world.host}"
    source = tmp_path / "source"
    source.mkdir()
    (source / "app.py").write_text(APP)
    spec = BuildSpec(
        space="alice/models", space_id=1, sha="5" * 40, sdk="gradio", source=source,
        preload=("org/small weights.txt",),
    )  # fmt: skip
    artifact = runtime.build(spec, lambda _line: None)
    assert world.downloads() == ["weights.txt"]

    both = ["HAS preloaded", "HAS loaded"]
    assert run_once(runtime, artifact, 1, hub, "web") == both
    assert world.downloads() == ["weights.txt", "weights.txt"], "only what was not in the image"
    assert run_once(runtime, artifact, 2, hub, "none") == both, "without a way out, from its own disk"
    assert len(world.downloads()) == 2


def test_the_owners_own_cache_folder_wins(tmp_path: Path) -> None:
    def environment(**env: str) -> dict[str, str]:
        spec = ReplicaSpec(
            space="a/b", space_id=1, sdk="gradio", artifact=Artifact(runtime="docker"), tier="cpu", env=env
        )
        return launcher_environment(spec, host="h", port=1, home="/h", tmp="/t", cache="/h/.cache")

    assert environment()["HF_HOME"] == "/h/.cache/huggingface"
    assert environment(HF_HOME="/data/hf")["HF_HOME"] == "/data/hf"
