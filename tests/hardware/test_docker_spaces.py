"""Docker Spaces by their image's own contract: its user, home, folders and ways to build."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import docker
import pytest
from django.conf import settings as ours

from hardware import control_groups, readiness
from hardware.runtimes import base_image, container
from hardware.runtimes.base import BuildSpec, NamedVolume, ReplicaSpec
from hardware.runtimes.volumes import RECOUNT_S
from hardware.tiers import TIERS
from infra.listening import Listener
from tests.hardware.engine import docker_runtime
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_django.fixtures import Settings

    from hardware.runtimes.base import Artifact, Running
    from hardware.runtimes.docker import DockerRuntime

pytestmark = pytest.mark.docker

BASE = f"FROM {ours.SPACEPORT_BASE_IMAGE}:py3.11\n"
SERVE = 'CMD ["python", "-m", "http.server", "7860"]\n'
#: As the Hub's guide writes it.
USUAL = f"""{BASE}USER root
RUN useradd -m -u 1000 appuser
USER appuser
ENV HOME=/home/appuser PATH=/home/appuser/.local/bin:$PATH
WORKDIR $HOME/app
COPY --chown=appuser . $HOME/app
RUN mkdir -p $HOME/app/cache
{SERVE}"""
LOOK = """
import json, os, sqlite3, sys
def write(path):
    path = os.path.expanduser(path)
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        open(path, "w").write("x")
        return True
    except OSError:
        return False
print(json.dumps({
    "uid": os.getuid(), "home": os.environ.get("HOME"), "cwd": os.getcwd(),
    "write": [path for path in sys.argv[1:] if write(path)],
    "memory": [l.split()[1] for l in open("/proc/mounts") if l.startswith("tmpfs") and " rw" in l],
}))
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRuntime]:
    made = docker_runtime(tmp_path_factory.mktemp("docker-spaces"))
    yield made
    made.dispose()


def build(
    runtime: DockerRuntime, folder: Path, dockerfile: str, number: int, **more: Any
) -> tuple[Artifact, str]:
    (folder / "Dockerfile").write_text(dockerfile)
    spec = BuildSpec(
        space="alice/docked", space_id=number, sha=f"{number}" * 40, sdk="docker", source=folder, **more
    )
    lines: list[str] = []
    return runtime.build(spec, lines.append), "\n".join(lines)


def start(runtime: DockerRuntime, artifact: Artifact, number: int, replica: int = 0, **more: Any) -> Running:
    spec = ReplicaSpec(
        space="alice/docked", space_id=number, sdk="docker", artifact=artifact, tier="cpu", **more
    )
    running = runtime.start(replica or number, spec)
    wait_until(lambda: asyncio.run(readiness.probe(running.address, "docker")) is not None, "it is ready")
    return running


def inside(runtime: DockerRuntime, running: Running, *command: str) -> str:
    output: Any
    code, output = runtime.client.containers.get(running.runtime_id).exec_run(list(command))
    assert code == 0, output
    return str(output.decode())


def look(runtime: DockerRuntime, running: Running, *paths: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(inside(runtime, running, "python", "-c", LOOK, *paths))
    return found


def test_the_usual_pattern_of_the_hub_writes_beside_its_code(runtime: DockerRuntime, tmp_path: Path) -> None:
    paths = ["visits.db", "cache/a", "~/.cache/model/x", "/home/appuser/.config/x", "/tmp/q/x", "/data/x"]  # noqa: S108
    running = start(runtime, build(runtime, tmp_path, USUAL, 1)[0], 1)
    seen = look(runtime, running, *paths, "/etc/x", "/opt/x")
    assert (seen["uid"], seen["home"], seen["cwd"]) == (1000, "/home/appuser", "/home/appuser/app")
    assert seen["write"] == paths
    assert "/tmp" not in seen["memory"]  # noqa: S108
    shm = inside(runtime, running, "stat", "--file-system", "--format", "%S %b", "/dev/shm")  # noqa: S108
    assert math.prod(map(int, shm.split())) == TIERS["cpu"].memory_bytes // 2
    runtime.stop(running.runtime_id)
    again = start(runtime, build(runtime, tmp_path, USUAL, 1)[0], 1, replica=11)
    there = inside(runtime, again, "sh", "-c", "ls visits.db /data/x 2>/dev/null; true")
    assert there == "/data/x\n", "its own folders are new, /data is kept"
    runtime.stop(again.runtime_id)


@pytest.mark.parametrize(
    ("number", "lines", "uid", "home"),
    [
        (2, "USER root\n", 1000, "/home/user"),
        (
            3,
            "USER root\nRUN sed -i 's/^space:x:10001/space:x:0/' /etc/passwd\nUSER space\n",
            1000,
            "/home/user",
        ),
        (4, "USER root\nRUN useradd -u 1234 -m -d /srv/me me\nUSER me\nENV HOME=/srv/me\n", 1234, "/srv/me"),
        (5, "USER 4321\nENV HOME=/srv\n", 4321, "/srv"),
    ],
)
def test_an_image_runs_as_its_user_but_never_as_root(
    runtime: DockerRuntime, tmp_path: Path, number: int, lines: str, uid: int, home: str
) -> None:
    running = start(runtime, build(runtime, tmp_path, BASE + lines + SERVE, number)[0], number)
    seen = look(runtime, running, "/data/x")
    assert (seen["uid"], seen["home"], seen["write"]) == (uid, home, ["/data/x"])
    runtime.stop(running.runtime_id)


def test_an_image_without_a_user_or_home_gets_the_hubs(runtime: DockerRuntime) -> None:
    image = base_image.made_from(runtime.client)
    who = container.identity(runtime.client, image, "docker")
    assert who == container.Identity(user="1000:1000", home="/tmp")  # noqa: S108


def test_data_that_an_earlier_version_made_is_the_spaces_own(runtime: DockerRuntime, tmp_path: Path) -> None:
    name = f"spaceport-{runtime.installation}-data-6"
    runtime.client.volumes.create(name, labels={"spaceport.installation": runtime.installation})
    runtime.client.containers.run(
        base_image.tag("3.11"), ["sh", "-c", "chown 10001 /data; chmod 755 /data; echo old > /data/old"],
        user="0:0", mounts=[docker.types.Mount("/data", name, type="volume")], remove=True,
    )  # fmt: skip
    running = start(runtime, build(runtime, tmp_path, USUAL, 6)[0], 6)
    assert look(runtime, running, "/data/new", "/data/old")["write"] == ["/data/new", "/data/old"]
    runtime.stop(running.runtime_id)


def test_who_fills_the_disk_is_stopped_and_told(
    runtime: DockerRuntime, tmp_path: Path, settings: Settings
) -> None:
    settings.SPACEPORT_DISK_GB = settings.SPACEPORT_DATA_GB = 0.05
    artifact, _ = build(runtime, tmp_path, USUAL, 7)
    for replica, path, where in ((70, "big", "its own folders"), (71, "/data/big", "/data")):
        running = start(runtime, artifact, 7, replica)
        runtime._disk.check()
        assert runtime.poll(running.runtime_id) is None
        command = ["dd", "if=/dev/zero", f"of={path}", "bs=1M", "count=80"]
        # The runtime's own look may stop it amid this.
        runtime.client.containers.get(running.runtime_id).exec_run(command)

        def ended(running: Running = running) -> bool:
            runtime._disk.check()
            return runtime.poll(running.runtime_id) is not None

        wait_until(ended, "it is stopped")
        end = runtime.poll(running.runtime_id)
        assert end is not None
        assert f"more than 0.05 GB of disk in {where}" in end.reason
        runtime.stop(running.runtime_id)


def test_a_named_volume_is_shared_kept_bounded_and_removed(
    runtime: DockerRuntime, tmp_path: Path, settings: Settings
) -> None:
    dockerfile = USUAL + "RUN mkdir -p $HOME/app/shared && touch $HOME/app/shared/of-the-image\n"
    artifact, _ = build(runtime, tmp_path, dockerfile, 8)
    store = NamedVolume(volume_id=3, name="alice/store", path="/home/appuser/app/shared")
    writer = start(runtime, artifact, 8, 80, volumes=(store,))
    assert look(runtime, writer, "shared/a", "/data/own")["write"] == ["shared/a", "/data/own"]
    reader = start(runtime, artifact, 9, 90, volumes=(replace(store, path="/data", read_only=True),))
    assert inside(runtime, reader, "ls", "/data", "shared").split() == [
        "/data:",
        "a",
        "shared:",
        "of-the-image",
    ]
    assert look(runtime, reader, "/data/b")["write"] == []
    assert not runtime.forget_volume(3), "it is in use"
    inside(runtime, writer, "dd", "if=/dev/zero", "of=shared/big", "bs=1M", "count=60")
    use = runtime.volume_uses()[3]
    assert (use.files, use.size_bytes > 60 * 1024**2) == (2, True)

    settings.SPACEPORT_VOLUME_GB = 0.05
    runtime._disk._at = -RECOUNT_S  # as if it were long ago

    def ended() -> bool:
        runtime._disk.check()
        return runtime.poll(writer.runtime_id) is not None

    wait_until(ended, "the writer is stopped")
    end = runtime.poll(writer.runtime_id)
    assert end is not None
    assert "more than 0.05 GB of disk in /home/appuser/app/shared" in end.reason
    assert runtime.poll(reader.runtime_id) is None, "who only reads goes on"
    for running in (writer, reader):
        runtime.stop(running.runtime_id)
    assert runtime.forget_volume(3)
    assert 3 not in runtime.volume_uses()
    assert inside(runtime, start(runtime, artifact, 8, 81), "ls", "/data") == "own\n", (
        "its own is kept beside it"
    )


BUILDKIT = f"""# syntax=docker/dockerfile:1
{BASE}USER root
ARG MODEL_NAME=none
RUN --mount=type=cache,target=/root/.cache/pip pip --version
RUN --mount=type=bind,source=server.txt,target=/mnt/server.txt cp /mnt/server.txt /srv/bound
RUN --mount=type=secret,id=MY_TOKEN,mode=0444,required=false wc -c < /run/secrets/MY_TOKEN > /srv/length
RUN --mount=type=secret,id=ABSENT,required=false ls /run/secrets/ABSENT || echo absent > /srv/absent
RUN <<EOF
echo "$MODEL_NAME" > /srv/model
echo two >> /srv/model
EOF
COPY <<EOF /srv/written
written
EOF
COPY --chmod=755 server.txt /srv/server
{SERVE}"""


def test_a_dockerfile_of_buildkit_is_built(runtime: DockerRuntime, tmp_path: Path) -> None:
    (tmp_path / "server.txt").write_text("bound\n")
    given = {
        "variables": {"MODEL_NAME": "it's=a 'b'", "UNUSED": "1"},
        "secrets": {"MY_TOKEN": "hunter2-token"},
    }
    artifact, log = build(runtime, tmp_path, BUILDKIT, 8, **given)
    assert "`# syntax=docker/dockerfile:1` is ignored" in log
    assert "UNUSED" not in log
    running = start(runtime, artifact, 8)
    names = ("bound", "length", "absent", "model", "written")
    seen = inside(runtime, running, "cat", *(f"/srv/{name}" for name in names))
    assert seen == "bound\n13\nabsent\nit's=a 'b'\ntwo\nwritten\n"
    assert inside(runtime, running, "stat", "-c", "%a", "/srv/server") == "755\n"
    image = runtime.client.images.get(artifact.image)
    assert "hunter2" not in json.dumps([image.attrs, image.history()]) + log
    runtime.stop(running.runtime_id)


def test_where_an_app_listens_is_known(runtime: DockerRuntime, tmp_path: Path) -> None:
    """On the wrong port, and for itself alone."""
    serve = 'CMD ["python", "-m", "http.server", "8000", "--bind", "127.0.0.1"]\n'
    artifact, _ = build(runtime, tmp_path, BASE + serve, 9)
    spec = ReplicaSpec(space="alice/docked", space_id=9, sdk="docker", artifact=artifact, tier="cpu")
    running = runtime.start(9, spec)
    alone = {Listener("127.0.0.1", 8000)}
    wait_until(lambda: runtime.listeners(running.runtime_id) == alone, "it listens")
    runtime.stop(running.runtime_id)
    assert runtime.listeners(running.runtime_id) is None


def test_a_port_that_is_open_is_alive_however_slow_its_pages_are() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        silent = threading.Thread(target=server.accept, daemon=True)
        silent.start()
        assert asyncio.run(readiness.probe(address, "docker")) == {}
        silent.join()
    assert asyncio.run(readiness.probe(address, "docker")) is None


def test_of_a_list_of_users_that_is_too_long_none_counts(runtime: DockerRuntime, tmp_path: Path) -> None:
    filler = "open('/etc/passwd', 'a').write(('x:x:1:1::/:/bin/sh' + chr(10)) * 400_000)"
    dockerfile = f'{BASE}USER root\nRUN python -c "{filler}"\nUSER root\n{SERVE}'
    running = start(runtime, build(runtime, tmp_path, dockerfile, 18)[0], 18)
    assert inside(runtime, running, "id", "-u") == "1000\n"


def test_a_replica_that_is_measured_has_none_of_the_spaces_data(
    runtime: DockerRuntime, tmp_path: Path
) -> None:
    artifact, _ = build(runtime, tmp_path, USUAL, 17)
    serving = start(runtime, artifact, 17, 170)
    assert look(runtime, serving, "/data/kept")["write"] == ["/data/kept"]
    inside(runtime, serving, "dd", "if=/dev/zero", "of=/data/large", "bs=1M", "count=64")
    start(runtime, artifact, 17, 172)  # however much is there
    before = {volume.name for volume in runtime.client.volumes.list()}
    measured = start(runtime, artifact, 17, 171, scratch=True)
    assert inside(runtime, measured, "ls", "/data") == ""
    assert look(runtime, measured, "/data/other")["write"] == ["/data/other"]
    assert inside(runtime, serving, "ls", "/data").split() == ["kept", "large"]
    runtime.stop(measured.runtime_id)
    assert {volume.name for volume in runtime.client.volumes.list()} == before


def test_the_kernel_and_the_engine_agree_on_what_a_container_uses(
    runtime: DockerRuntime, tmp_path: Path
) -> None:
    running = start(runtime, build(runtime, tmp_path, USUAL, 6)[0], 6)
    pid = runtime.client.api.inspect_container(running.runtime_id)["State"]["Pid"]
    assert control_groups.use_of(pid, running.runtime_id) is not None, "this is the engine's machine"
    assert control_groups.use_of(pid, "another") is None
    ours, theirs = (
        runtime.stats(running.runtime_id),
        container.stats_by_engine(runtime.client, running.runtime_id),
    )
    assert ours is not None
    assert theirs is not None
    assert ours.memory_limit_bytes == theirs.memory_limit_bytes
    assert ours.memory_bytes == pytest.approx(theirs.memory_bytes, abs=8 * 1024**2)
    assert ours.cpu_seconds == pytest.approx(theirs.cpu_seconds, abs=1)
    runtime.stop(running.runtime_id)
    assert runtime.stats(running.runtime_id) is None
