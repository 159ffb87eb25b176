"""What a Space's build made is removed from its machine while it sleeps or is paused: it is built again from
its commit, and who comes meanwhile waits with an estimate and is answered."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
from gradio_client import Client

from tests.platform_server import APPS, Platform
from tests.waiting import wait_until

ENDS = {"BUILD_ERROR", "RUNTIME_ERROR", "CONFIG_ERROR", "NO_APP_FILE", "STOPPED"}
OWN = "# an environment of this test's own\niniconfig==2.1.0\n"
_numbers = itertools.count()


@dataclass
class Pruned:
    """A Space that runs; `remove` takes away what its build made, `is_there` looks for it."""

    platform: Platform
    token: str
    name: str
    remove: Callable[[], None]
    is_there: Callable[[], bool]

    def stage(self) -> str:
        return self.platform.stage(self.name, self.token)

    def builds(self) -> int:
        headers = {"Authorization": f"Bearer {self.token}"}
        url = f"{self.platform.url}/api/spaces/{self.name}/builds"
        return len(requests.get(url, headers=headers, timeout=10).json())


def pushed(platform: Platform, token: str, name: str, folder: Path) -> None:
    shutil.copytree(APPS / "echo", folder, dirs_exist_ok=True)
    (folder / "pre-requirements.txt").write_text(OWN)
    assert platform.push(name, token, folder) == "RUNNING"


@pytest.fixture
def in_a_container(platform: Platform, alice: str, tmp_path: Path) -> Iterator[Pruned]:
    if platform.runtime == "process" or shutil.which("docker") is None:
        pytest.skip("no container engine answers")
    name = f"alice/pruned-image-{next(_numbers)}"
    pushed(platform, alice, name, tmp_path)
    installation = (platform.home / "installation").read_text().strip()
    labels = [f"spaceport.installation={installation}", f"spaceport.space={name}"]
    with contextlib.closing(docker.from_env()) as engine:

        def images() -> list[Any]:
            return list(engine.images.list(filters={"label": labels}))

        def remove() -> None:
            [image] = images()
            wait_until(lambda: not engine.containers.list(all=True, filters={"ancestor": image.id}), "free")
            engine.images.remove(image.id, force=True)

        yield Pruned(platform, alice, name, remove, lambda: bool(images()))


@pytest.fixture
def as_a_process(process_platform: Platform, tmp_path: Path) -> Iterator[Pruned]:
    def environments() -> set[Path]:
        folder = process_platform.home / "environments"
        return {path for path in folder.glob("py*") if OWN in _text(path / "pre-requirements.txt")}

    def remove() -> None:
        for path in environments():
            shutil.rmtree(path)

    token, name = process_platform.token("alice"), f"alice/pruned-environment-{next(_numbers)}"
    pushed(process_platform, token, name, tmp_path)
    yield Pruned(process_platform, token, name, remove, lambda: bool(environments()))
    remove()


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@pytest.fixture(params=[pytest.param("in_a_container", marks=pytest.mark.docker), "as_a_process"])
def pruned(request: pytest.FixtureRequest) -> Pruned:
    found: Pruned = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("when", ["asleep", "paused"])
def test_who_comes_waits_with_an_estimate_and_is_answered(pruned: Pruned, when: str) -> None:
    client = Client(pruned.platform.run_url(pruned.name), token=pruned.token, verbose=False)
    assert "before" in str(client.predict("before", api_name="/echo"))
    api: Any = pruned.platform.api(pruned.token)
    if when == "asleep":
        pruned.platform.put_to_sleep(pruned.name, pruned.token)
    else:
        api.pause_space(pruned.name)
    assert pruned.is_there()
    pruned.remove()
    assert not pruned.is_there()
    if when == "paused":
        api.restart_space(pruned.name)

    waits = client.submit("after", api_name="/echo")
    stages: set[str] = set()
    estimates: list[float] = []

    def is_answered() -> bool:
        stages.add(pruned.stage())
        if (eta := waits.status().eta) is not None:
            estimates.append(eta)
        return bool(waits.done())

    wait_until(is_answered, "it is built again and answers", 150)
    assert "after" in str(waits.result())
    assert pruned.builds() == 2, "it was built again"
    assert not stages & ENDS
    assert any(eta > 0 for eta in estimates)
    assert pruned.is_there()
