"""What a container may do: nearly nothing. Asked from inside, and of what is sent to the engine."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hardware import devices, readiness
from hardware.runtimes.base import Artifact, BuildSpec, InUse, ReplicaSpec, StartFailed
from hardware.runtimes.docker import DockerRuntime
from hardware.runtimes.images import code, transfer
from tests.hardware.engine import Listener, docker_runtime
from tests.sockets import accept_all
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

    from hardware.runtimes.base import Running

pytestmark = pytest.mark.docker

NO_GPU = devices.Device(uuid="GPU-0123", name="none", memory_bytes=0)
APPS = Path(__file__).parent.parent / "apps"

WRITABLE = ["/tmp/x", "/data/x", "/home/user/x", "/home/user/.cache/x", "/opt/venv/x"]  # noqa: S108
PATHS = ["/x", "/etc/x", "/usr/bin/x", "/opt/launcher/x", *WRITABLE]
PROBE = """
import json, os, socket, sys
def reach(host, port):
    try:
        socket.create_connection((host, port), 2).close()
        return "reached"
    except OSError as error:
        return type(error).__name__
def write(path):
    try:
        open(path, "w").write("x")
        return "written"
    except OSError as error:
        return type(error).__name__
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines() if ":" in line)
print(json.dumps({
    "reach": [reach(host, port) for host, port in json.loads(sys.argv[1])],
    "write": {path: write(path) for path in json.loads(sys.argv[2])},
    "uid": os.getuid(), "capabilities": status["CapBnd"].strip(),
    "no_new_privileges": status["NoNewPrivs"].strip(),
    "sees": sorted(os.listdir("/dev")), "processes": len([p for p in os.listdir("/proc") if p.isdigit()]),
    "engine": os.path.exists("/var/run/docker.sock"),
}))
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRuntime]:
    made = docker_runtime(tmp_path_factory.mktemp("containers"))
    yield made
    made.dispose()


def spec_of(artifact: Artifact, space_id: int, **more: Any) -> ReplicaSpec:
    return ReplicaSpec(
        space=f"alice/demo{space_id}", space_id=space_id, sdk="gradio", artifact=artifact,
        **{"tier": "cpu", **more},
    )  # fmt: skip


@pytest.fixture(scope="module")
def artifact(runtime: DockerRuntime) -> Artifact:
    spec = BuildSpec(space="alice/demo1", space_id=1, sha="9" * 40, sdk="gradio", source=APPS / "echo")
    return runtime.build(spec, lambda _line: None)


@pytest.fixture(scope="module")
def two(runtime: DockerRuntime, artifact: Artifact) -> list[Running]:
    """Replicas of two Spaces, both answering."""
    started = [runtime.start(number, spec_of(artifact, number)) for number in (1, 2)]
    for running in started:
        wait_until(lambda: asyncio.run(readiness.answers(running.address, "gradio")), "it answers", 60)  # noqa: B023
    return started


def inside(runtime: DockerRuntime, running: Running, targets: list[tuple[str, int]]) -> dict[str, Any]:
    container = runtime.client.containers.get(running.runtime_id)
    output: Any  # bytes, without stream
    code, output = container.exec_run(["python", "-c", PROBE, json.dumps(targets), json.dumps(PATHS)])
    assert code == 0, output
    answer: dict[str, Any] = json.loads(output)
    return answer


def listening_on(address: str) -> socket.socket:
    server = socket.create_server((address, 0))
    accept_all(server)
    return server


@pytest.mark.skipif(os.geteuid() != 0, reason="the rule that keeps containers from the host needs root")
def test_a_container_reaches_neither_host_nor_other_spaces_nor_the_outside(
    runtime: DockerRuntime, two: list[Running]
) -> None:
    engine = runtime.client.api
    gateways = [
        str(ipaddress.ip_network(engine.inspect_network(name)["IPAM"]["Config"][0]["Subnet"])[1])
        for name in (f"spaceport-{runtime.installation}", "bridge")
    ]
    servers = [listening_on(address) for address in gateways]
    outside = ("pypi.org", 443)
    targets = [
        *((address, server.getsockname()[1]) for address, server in zip(gateways, servers, strict=True)),
        (two[1].address.split(":")[0], 7860),
        outside,
    ]
    for target in targets:  # from here all of them can be reached: it is the walls that are tested
        socket.create_connection(target, 5).close()
    targets.append((socket.gethostbyname(outside[0]), 443))

    seen = inside(runtime, two[0], targets)
    assert "reached" not in seen["reach"]
    for server in servers:
        server.close()


def test_a_container_is_nobody_and_writes_only_where_it_may(
    runtime: DockerRuntime, two: list[Running]
) -> None:
    seen = inside(runtime, two[0], [])
    assert (seen["uid"], int(seen["capabilities"], 16), seen["no_new_privileges"]) == (10001, 0, "1")
    assert [path for path, result in seen["write"].items() if result == "written"] == WRITABLE
    assert not seen["engine"]
    assert "sda" not in seen["sees"]
    assert seen["processes"] < 20


def test_the_engine_holds_the_limits_of_the_tier(runtime: DockerRuntime, two: list[Running]) -> None:
    config = runtime.client.api.inspect_container(two[0].runtime_id)["HostConfig"]
    assert config["Memory"] == config["MemorySwap"] == 4 * 1024**3
    assert config["PidsLimit"] == 512
    assert 0 < config["NanoCpus"] <= 2e9
    assert config["CapDrop"] == ["ALL"]
    assert config["ShmSize"] == 2 * 1024**3
    assert not config.get("Tmpfs"), "what it writes is on disk"
    assert not config["Privileged"]
    assert not config["PortBindings"]
    assert not config["Binds"]
    assert config["LogConfig"]["Config"] == {"max-size": "5m", "max-file": "2"}


def test_what_is_written_to_data_stays_and_is_the_spaces_own(
    runtime: DockerRuntime, artifact: Artifact, two: list[Running]
) -> None:
    first = runtime.start(8, spec_of(artifact, 8))
    inside(runtime, first, [])  # writes /data/x
    other = runtime.client.containers.get(two[1].runtime_id)
    assert other.exec_run(["ls", "/data"]).output == b""
    runtime.stop(first.runtime_id)
    again = runtime.start(3, spec_of(artifact, 8))
    assert runtime.client.containers.get(again.runtime_id).exec_run(["cat", "/data/x"]).output == b"x"
    assert again.address != first.address  # a freed address does not go to the next container
    runtime.stop(again.runtime_id)


def test_of_a_deleted_space_nothing_is_left_once_nothing_runs(runtime: DockerRuntime) -> None:
    spec = BuildSpec(space="alice/gone", space_id=77, sha="7" * 40, sdk="gradio", source=APPS / "echo")
    made = runtime.build(spec, lambda _line: None)
    other = runtime.build(replace(spec, space="alice/other", space_id=778), lambda _line: None)
    running = runtime.start(77, spec_of(made, 77))
    with pytest.raises(InUse):
        runtime.forget(made)
    assert not runtime.forget_space(77)
    runtime.stop(running.runtime_id)
    assert runtime.forget_space(77)
    assert runtime.forget_space(77)
    images = [name for image in runtime.client.images.list() for name in image.tags]
    assert made.image not in images
    assert other.image in images
    runtime.forget(other)
    volumes = {volume.name for volume in runtime.client.volumes.list()}
    assert not {f"spaceport-{runtime.installation}-{what}-77" for what in ("data", "cache")} & volumes


def build_of(runtime: DockerRuntime, source: Path, number: int, **files: str) -> tuple[Any, list[str]]:
    """The image of a Space with these files, named with "_py" for ".py", and its build log."""
    for name, text in files.items():
        (source / name.replace("_py", ".py")).write_text(text)
    spec = BuildSpec(
        space="alice/shares", space_id=79, sha=f"{number}" * 40, sdk="gradio", source=source
    )  # fmt: skip
    log: list[str] = []
    return runtime.client.images.get(runtime.build(spec, log.append).image), log


def test_code_is_laid_upon_the_dependencies_that_spaces_share(runtime: DockerRuntime, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "it.py").touch()
    first, _ = build_of(runtime, tmp_path, 1, app_py="import gradio", data="one")
    (tmp_path / "data").unlink()
    (tmp_path / "run" / "it.py").chmod(0o4711)
    (tmp_path / "link").symlink_to("/etc/passwd")
    second, log = build_of(runtime, tmp_path, 2, app_py="import gradio as gr")
    assert log == ["Dependencies are unchanged: nothing to install.", "The code is in place."]
    assert second.attrs["RootFS"]["Layers"][:-1] == first.attrs["RootFS"]["Layers"][:-1]
    assert second.attrs["Config"]["Cmd"] == first.attrs["Config"]["Cmd"]
    assert second.labels["spaceport.sha"] == "2" * 40
    listed = runtime.client.containers.run(
        second.id, ["find", "/home/user/app", "-printf", "%P %u:%g %m %l\n"], remove=True
    )
    assert sorted(listed.decode().splitlines()) == [
        " space:space 755 ",
        "app.py space:space 644 ",
        "link space:space 777 /etc/passwd",
        "run space:space 755 ",
        "run/it.py space:space 755 ",
    ]


def test_dependencies_go_when_no_space_stands_upon_them(
    runtime: DockerRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def environments() -> list[list[str]]:
        found = runtime.client.api.images(filters={"label": f"{code.KIND}={code.ENVIRONMENT}"})
        return [transfer.layers(runtime.client, image["Id"]) for image in found]

    monkeypatch.setattr(code, "KEPT", datetime.timedelta())
    own = {"app_py": "import gradio", "requirements.txt": "iniconfig==2.1.0"}
    made, _ = build_of(runtime, tmp_path, 3, **own)
    below = transfer.layers(runtime.client, made.id)[:-1]
    asked: list[str] = []

    def layers(client: docker.DockerClient, image: str) -> list[str]:
        asked.append(image)
        return transfer.layers(client, image)

    monkeypatch.setattr(code, "layers", layers)
    code.collect(runtime.client)
    assert below in environments()
    assert made.id not in asked, "each request takes the engine time that starts need"
    api: Any = runtime.client.api
    upon = made.labels[code.UPON]
    container = api.create_container(upon, labels={code.KIND: code.SPACE})["Id"]  # as by an earlier version
    api.commit(container, "spaceport/space-earlier", "test")
    api.remove_container(container)
    runtime.forget(Artifact(runtime="docker", image=made.tags[0]))
    assert below in environments()
    runtime.forget(Artifact(runtime="docker", image="spaceport/space-earlier:test"))
    assert below not in environments()
    again, log = build_of(runtime, tmp_path, 4)
    assert log[-1] == "The code is in place."
    assert transfer.layers(runtime.client, again.id)[:-1] == below
    runtime.forget(Artifact(runtime="docker", image=again.tags[0]))


def test_secrets_are_in_no_image(runtime: DockerRuntime, artifact: Artifact) -> None:
    image = runtime.client.images.get(artifact.image)
    told = json.dumps([image.attrs["Config"], image.history()])
    for name in ("SECRET", "DATABASE_URL", "REDIS_URL"):
        assert name not in told


@pytest.mark.parametrize("simulated", [False, True])
def test_a_gpu_is_asked_of_the_engine_by_its_id_unless_simulated(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, simulated: bool
) -> None:
    """Seen on the wire: this machine need not have the device. The engine then refuses to start it."""
    listener = Listener(tmp_path / "engine.sock")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'engine.sock'}")
    runtime = DockerRuntime(tmp_path)
    spec = spec_of(artifact, 4, tier="t4")
    try:
        if simulated:
            runtime.start(4, spec)
        elif devices.found():
            runtime.start(4, spec, gpus=(devices.found()[0].uuid,))
        else:
            with pytest.raises(StartFailed, match="device driver"):
                runtime.start(4, spec, gpus=("GPU-0123",))
        bodies = listener.bodies("/containers/create")
        [host] = [body["HostConfig"] for body in bodies if body.get("Labels")]
        asked = host.get("DeviceRequests") or []
        expected = [] if simulated else [((devices.found() or [NO_GPU])[0].uuid, [["gpu"]], 0)]
        assert [(one["DeviceIDs"][0], one["Capabilities"], one["Count"]) for one in asked] == expected
    finally:
        runtime.dispose()
        listener.close()


def test_a_cut_build_leaves_nothing(runtime: DockerRuntime, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM spaceport/base:py3.11\nRUN sleep 98765\n")
    spec = BuildSpec(space="alice/long", space_id=5, sha="8" * 40, sdk="docker", source=tmp_path)

    class Enough(Exception):
        """The log's reader went away."""

    def log(line: str) -> None:
        if "sleep" in line:
            raise Enough

    with pytest.raises(Enough):
        runtime.build(spec, log)
    wait_until(lambda: not running(b"98765"), "the build is gone")
    labels = [f"spaceport.installation={runtime.installation}", "spaceport.builds=5"]
    assert not runtime.client.api.containers(all=True, filters={"label": labels})


def test_a_build_ends_with_the_process_that_wanted_it(runtime: DockerRuntime, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM spaceport/base:py3.11\nRUN sleep 87654\n")
    code = (
        "import sys; from pathlib import Path\n"
        "import django; django.setup()\n"
        "from hardware.runtimes.base import BuildSpec\n"
        "from hardware.runtimes.docker import DockerRuntime\n"
        "DockerRuntime(Path(sys.argv[1])).build(BuildSpec(space='a/b', space_id=6, sha='7' * 40,"
        " sdk='docker', source=Path(sys.argv[2])), print)\n"
    )
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "installation").write_text(runtime.installation)
    worker = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "home", tmp_path], cwd=Path(__file__).parents[2]
    )
    try:
        wait_until(lambda: running(b"sleep\x0087654"), "the step runs", 60)
    finally:
        worker.kill()
        worker.wait()
    wait_until(lambda: not running(b"sleep\x0087654"), "the step has ended")


def running(words: bytes) -> list[str]:
    """The process ids of every process with these words in its command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if words in path.read_bytes() and path.parent.name != str(os.getpid()):
                found.append(path.parent.name)
    return found


#: Leaves children behind that nobody waits for, and one process that takes all it gets.
BUSY = """
import os, subprocess, sys, time
for _ in range(50):
    if os.fork() == 0:
        if os.fork() == 0:
            time.sleep(0.2)
        os._exit(0)
    os.wait()
for _ in range(8):
    subprocess.Popen([sys.executable, "-c", "while True: pass"])
time.sleep(3600)
"""


def test_zombies_are_reaped_and_cores_are_rationed(runtime: DockerRuntime, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(BUSY)
    spec = BuildSpec(space="alice/busy", space_id=7, sha="6" * 40, sdk="gradio", source=tmp_path)
    started = runtime.start(70, spec_of(runtime.build(spec, lambda _line: None), 7))
    container = runtime.client.containers.get(started.runtime_id)
    config = container.attrs["HostConfig"]
    assert config["Init"]
    assert config["CpuShares"] < 1024, "beside the platform's own processes"

    def look(command: str) -> str:
        output: Any = container.exec_run(["sh", "-c", command]).output
        return str(output.decode())

    def busy() -> bool:
        return look("grep -l 'while True' /proc/[0-9]*/cmdline").count("/proc") >= 8

    wait_until(busy, "its children run", 60)
    wait_until(lambda: "(zombie)" not in look("grep -h State /proc/[0-9]*/status"), "no zombie is left")
    throttled = "cat /sys/fs/cgroup/cpu/cpu.stat /sys/fs/cgroup/cpu.stat 2>/dev/null | grep nr_throttled"
    cores = config["NanoCpus"] / 1e9
    if cores < (os.cpu_count() or 1):
        wait_until(lambda: int(look(throttled).split()[1]) > 0, "it is held to its cores", 60)
    runtime.stop(started.runtime_id, grace_s=1)
    assert not running(b"while True: pass\x00")
