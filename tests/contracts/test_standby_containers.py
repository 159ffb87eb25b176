"""A Space's next start finds Gradio imported in a container that waits for it; nothing else is different."""

from __future__ import annotations

import asyncio
import importlib
import io
import json
import os
import re
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker.errors
import pytest

from hardware import readiness
from hardware.runtimes.base import Artifact, BuildSpec, NamedVolume, ReplicaSpec
from hardware.runtimes.base_image import LAUNCHER
from hardware.runtimes.docker import DockerRuntime
from hardware.runtimes.standby import containers
from tests.contracts.test_standby import DIFFERENT, IMPORT, SERVES, STATE
from tests.hardware.engine import docker_runtime
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hardware.runtimes.base import Found, Running

pytestmark = pytest.mark.docker

SPACE_ID = 77
RESTS_S = 0.3
#: Each container draws its own.
DRAWN = {*DIFFERENT, "gradio.processing_utils.hash_seed"}


def spec_of(artifact: Artifact, *volumes: NamedVolume, **env: str) -> ReplicaSpec:
    return ReplicaSpec(
        space="a/b", space_id=SPACE_ID, sdk="gradio", artifact=artifact, tier="cpu", env=env, volumes=volumes
    )


class Node:
    """Starts versions of one Space."""

    def __init__(self, home: Path) -> None:
        docker_runtime(home)
        self.home, self.runtime, self._number = home, DockerRuntime(home, standby=1), 0
        self.api: Any = self.runtime.client.api

    def build(self, source: str, found: Found | None = None) -> Artifact:
        self._number += 1
        code = self.home / "code" / str(self._number)
        code.mkdir(parents=True)
        (code / "app.py").write_text(source)
        spec = BuildSpec(space="a/b", space_id=SPACE_ID, sha=f"{self._number:040}", sdk="gradio", source=code)
        return self.runtime.build(spec, lambda _line: None, found)

    def start(self, artifact: Artifact, *volumes: NamedVolume, **env: str) -> Running:
        self._number += 1
        running = self.runtime.start(self._number, spec_of(artifact, *volumes, **env))

        def is_ready() -> bool:
            assert (ended := self.runtime.poll(running.runtime_id)) is None, ended
            return asyncio.run(readiness.answers(running.address, "gradio"))

        wait_until(is_ready, "the app answers", 60)
        assert self.runtime.running()[self._number] == running
        return running

    def waiting(self, *, imports: bool = False) -> str:
        """The id of the container that waits, once it has imported Gradio, or while it imports it; "": none
        does."""
        self.runtime._standby.refill()
        container = self.made()
        if container and not imports:
            wait_until(lambda: self.rests(container), "it has imported Gradio", 60)
        return container

    def made(self) -> str:
        """The id of the container that waits; "": there is none."""
        found = self.api.containers(filters={"name": f"{self.runtime.installation}-standby-{SPACE_ID}"})
        return str(found[0]["Id"]) if found else ""

    def rests(self, container: str) -> bool:
        """Whether it does nothing for a while, after it did something."""
        used = []
        for _ in range(2):
            stats = self.runtime.stats(container)
            assert stats is not None
            used.append(stats.cpu_seconds)
            time.sleep(RESTS_S)
        return used[0] > 0.5 and used[1] - used[0] < RESTS_S / 20

    def there(self, container: str) -> bool:
        return bool(self.api.containers(all=True, filters={"id": container}))

    def has(self, container: str, path: str) -> bool:
        try:
            self.read(container, path)
        except docker.errors.NotFound:
            return False
        return True

    def read(self, container: str, path: str) -> bytes:
        parts, _ = self.api.get_archive(container, path)
        with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as tar:
            file = tar.extractfile(tar.getmembers()[0])
            assert file is not None
            return file.read()

    def state(self, running: Running) -> set[str]:
        """What the app of `tests/apps/state` saw of its process."""
        path = "/home/user/state.json"
        wait_until(lambda: self.has(running.runtime_id, path), "it has looked")
        seen = self.read(running.runtime_id, path)
        text = re.sub(r":\d{8,}", ":ADDRESS", seen.decode().replace(running.runtime_id[:12], "HOST"))
        state = {key: value for key, value in json.loads(text).items() if key not in DRAWN}
        # Below the container's init, the next number or the one after.
        for name in [name for name in state if "pid" in name]:
            state[name] = re.sub(r"\b\d{1,2}\b", "its own", state[name])
        return {f"{key}: {value}" for key, value in state.items()}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(containers, "AFTER_S", 0.0)
        made = Node(tmp_path_factory.mktemp("node"))
        yield made
        made.runtime.dispose()


@pytest.mark.parametrize("imports", [False, True], ids=["waits", "imports it yet"])
def test_nothing_shows_that_gradio_was_imported_before(node: Node, imports: bool) -> None:
    first = node.start(node.build(STATE.read_text()), OWN="mine")
    changed = node.build(STATE.read_text() + "\n# changed")
    waits = node.waiting(imports=imports)
    second = node.start(changed, OWN="mine")
    assert second.runtime_id == waits != first.runtime_id
    assert sorted(node.state(first) ^ node.state(second)) == []
    assert not node.has(waits, f"{containers.NEXT_IN}/{containers.CAME}")
    assert node.waiting() not in ("", waits)


def test_code_is_taken_once_the_engine_has_unpacked_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that had moved before the engine sets its time would be an error there."""
    monkeypatch.syspath_prepend(str(LAUNCHER))
    waiting = importlib.import_module("spaceport_launcher.standby.waiting")
    code, came = tmp_path / "app", tmp_path / "came"
    for name, value in (("NEXT", code), ("CAME", came), ("LOOK_EVERY_S", 600.0)):
        monkeypatch.setattr(waiting, name, value)
    (code / "within").mkdir(parents=True)
    came.touch()
    for path in (came, code, code / "within"):
        assert not waiting._came()
        os.utime(path, (0, 0))
    assert waiting._came()


def test_one_is_made_while_the_code_is_built_upon_the_dependencies_that_it_will_have(node: Node) -> None:
    found: list[str] = []
    artifact = node.build(IMPORT + SERVES)
    node.start(artifact, OWN="mine")
    node.build(IMPORT + SERVES, found.append)

    def prepare(image: str) -> str:
        node.runtime.prepare(spec_of(replace(artifact, image=image), OWN="mine"))
        return node.made()

    waits = prepare(*found)
    assert waits
    assert prepare(*found) == waits
    nothing = node.api.create_container(found[0])["Id"]
    node.api.commit(nothing, "spaceport/other-dependencies", "test")
    node.api.remove_container(nothing)
    wait_until(lambda: prepare("spaceport/other-dependencies:test") != waits, "it waits upon these instead")
    wait_until(lambda: not node.there(waits), "the one before is gone")
    waits = prepare(*found)
    assert node.start(artifact, OWN="mine").runtime_id == waits
    node.runtime.client.images.remove("spaceport/other-dependencies:test", force=True)


def test_none_waits_for_code_that_will_have_a_volume_in_it(node: Node) -> None:
    store = NamedVolume(volume_id=4, name="a/store", path="/home/user/app/kept")
    spec = spec_of(Artifact(runtime="docker"), store)
    assert not containers.may_wait(spec, (), {"environment": {}})
    assert containers.may_wait(replace(spec, volumes=()), (), {"environment": {}})


def test_what_could_notice_gets_a_process_of_its_own(node: Node) -> None:
    tells = (
        "import os, sys\n"
        "print(sys.argv, sys.orig_argv, os.getcwd(), os.environ['OWN'], 'gradio' in sys.modules)\n"
    )
    artifact = node.build(f"{tells}{IMPORT}{SERVES}")
    logs = []
    waits = ""
    for _ in range(2):
        running = node.start(artifact, OWN="mine")
        logs.append(next(iter(node.runtime.logs(running.runtime_id))).text)
        assert running.runtime_id == waits or not waits
        waits = node.waiting()
    assert logs[0] == logs[1]
    assert "False" in logs[1]


def test_other_variables_or_dependencies_mean_another_container(node: Node) -> None:
    artifact = node.build(IMPORT + SERVES)
    node.start(artifact, OWN="mine")
    waits = node.waiting()
    running = node.start(artifact, OWN="other")
    assert running.runtime_id != waits
    assert not node.has(waits, "/home/user/app")


def test_other_volumes_mean_another_container_and_one_that_waits_keeps_none(node: Node) -> None:
    artifact = node.build(IMPORT + SERVES)
    node.start(artifact)
    waits = node.waiting()
    running = node.start(artifact, NamedVolume(volume_id=4, name="a/store", path="/home/user/store"))
    assert running.runtime_id != waits
    assert node.waiting()
    assert not node.runtime.forget_volume(4), "its Space runs"
    node.runtime.stop(running.runtime_id)
    assert node.runtime.forget_volume(4)
