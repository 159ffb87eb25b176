"""Files of the repository are files of the app, however large: handed back, opened, appended to."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from gradio_client import Client

from hardware import readiness
from hardware.runtimes.base import BuildSpec, ReplicaSpec
from tests.hardware.engine import docker_runtime
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hardware.runtimes.base import Runtime
    from hardware.runtimes.process import ProcessRuntime

APP = Path(__file__).parent.parent / "apps" / "own_files"
SIZES = {"small.bin": 1000, "big.bin": 9 * 1024**2}


@pytest.fixture(params=[pytest.param("docker", marks=pytest.mark.docker), "process"])
def either(request: pytest.FixtureRequest, runtime: ProcessRuntime, tmp_path: Path) -> Iterator[Runtime]:
    made: Runtime = runtime if request.param == "process" else docker_runtime(tmp_path / "home")
    yield made
    made.dispose()


def test_an_app_hands_back_and_appends_to_its_own_files(either: Runtime, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(APP, source)
    for name, size in SIZES.items():
        (source / name).write_bytes(b"y" * size)
    spec = BuildSpec(space="alice/files", space_id=1, sha="4" * 40, sdk="gradio", source=source)
    artifact = either.build(spec, lambda _line: None)
    running = either.start(
        1, ReplicaSpec(space="alice/files", space_id=1, sdk="gradio", artifact=artifact, tier="cpu")
    )
    wait_until(lambda: asyncio.run(readiness.probe(running.address, "gradio")) is not None, "it is ready", 90)
    client = Client(f"http://{running.address}", verbose=False, download_files=str(tmp_path))
    for name, size in SIZES.items():
        assert Path(client.predict(name, api_name="/give")).stat().st_size == size
    assert client.predict(5, api_name="/grow") == SIZES["big.bin"] + 5
    assert (source / "big.bin").stat().st_size == SIZES["big.bin"]
    either.stop(running.runtime_id, grace_s=2)
