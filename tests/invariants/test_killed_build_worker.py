"""The build worker is killed in the middle of a Docker build, alone or with the build's container: another
takes the build up by its lease, and nothing half made is left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest
import requests

from tests.platform_server import APPS, engine_answers
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.platform_server import Platform

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(not engine_answers(), reason="no container engine answers"),
]

SLOW = "RUN echo begins && sleep 7.654"
ROWS = """
import json
from spaces.models import Build
rows = Build.objects.filter(space__name="{name}")
print(json.dumps([[row.status, row.attempts] for row in rows]))
"""


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.from_env()) as client:
        yield client


def builders(platform: Platform, engine: docker.DockerClient) -> list[Any]:
    """This platform's builder containers, ended ones too."""
    name = f"spaceport-{(platform.home / 'installation').read_text().strip()}-build-"
    return list(engine.containers.list(all=True, filters={"name": name}))


def slow_steps() -> list[int]:
    """The processes of the build's slow step."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes() == b"sleep\x007.654\0":
                found.append(int(path.parent.name))
    return found


def space_images(platform: Platform, engine: docker.DockerClient, space: str) -> list[Any]:
    """What builds of this Space left in the engine, with a name or without."""
    installation = (platform.home / "installation").read_text().strip()
    labels = [f"spaceport.installation={installation}", f"spaceport.space={space}"]
    return engine.images.list(all=True, filters={"label": labels})


@pytest.mark.parametrize("with_container", [False, True], ids=["alone", "with its container"])
def test_a_build_whose_worker_is_killed_is_taken_up_and_leaves_nothing_half_made(
    platform: Platform, alice: str, engine: docker.DockerClient, tmp_path: Path, with_container: bool
) -> None:
    name = f"killed-build-{int(with_container)}"
    space = f"alice/{name}"
    for part in (APPS / "docker_echo").iterdir():
        (tmp_path / part.name).write_bytes(part.read_bytes())
    with (tmp_path / "Dockerfile").open("a") as dockerfile:
        dockerfile.write(f"{SLOW}\n")
    api = platform.api(alice)
    api.create_repo(space, repo_type="space", space_sdk="docker")
    api.upload_folder(repo_id=space, repo_type="space", folder_path=tmp_path)
    platform.pushed[space] = alice
    wait_until(slow_steps, "the build is in its slow step", 120)
    [worker] = platform.pids("build@")
    os.kill(worker, signal.SIGKILL)
    if with_container:
        for one in builders(platform, engine):
            with contextlib.suppress(docker.errors.APIError):  # it ends by itself as well
                one.kill()
    wait_until(lambda: not slow_steps(), "the build ended with its worker")

    assert platform.settled(space, alice, 150) == "RUNNING"
    headers = {"Authorization": f"Bearer {alice}"}
    answer = requests.get(f"{platform.run_url(space)}here", headers=headers, timeout=30)
    assert answer.text == "you asked for /here"
    rows = json.loads(platform.manage("shell", "-c", ROWS.format(name=name)).splitlines()[-1])
    assert rows == [["succeeded", 2]], "one row, built again"
    assert builders(platform, engine) == []
    [image] = space_images(platform, engine, space)
    assert len(image.tags) == 1
