"""What a Space that tries to get out of its container achieves: nothing. `hostile_space.py` attacks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as ours

from hardware import readiness
from hardware.runtimes import container, egress_policy
from hardware.runtimes.base import ReplicaSpec, StartFailed
from hardware.tiers import TIERS
from tests.hardware.engine import docker_runtime
from tests.security import hostile_space
from tests.security.builds import build
from tests.sockets import accept_all
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hardware.runtimes.base import Artifact, Running
    from hardware.runtimes.docker import DockerRuntime

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="the attacker names system calls by number"),
]

#: As docs/explanation/security.md says, besides addresses to connect to.
ATTACKS = 72
SPACE = f"""FROM {ours.SPACEPORT_BASE_IMAGE}:py3.11
COPY attack.py /attack.py
CMD ["python", "-m", "http.server", "7860"]
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRuntime]:
    made = docker_runtime(tmp_path_factory.mktemp("hostile"))
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def artifact(runtime: DockerRuntime, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("space")
    (folder / "attack.py").write_text(Path(hostile_space.__file__).read_text())
    return build(runtime, folder, SPACE)[0]


def start(runtime: DockerRuntime, artifact: Artifact, number: int, sandbox: str = "") -> Running:
    spec = ReplicaSpec(
        space=f"mallory/{number}", space_id=number, sdk="docker", artifact=artifact, tier="cpu", egress="web",
        limits=replace(TIERS["cpu"].limits, sandbox=sandbox),
    )  # fmt: skip
    running = runtime.start(number, spec)
    wait_until(lambda: asyncio.run(readiness.answers(running.address, "docker")), "it answers", 60)
    return running


def attack(runtime: DockerRuntime, running: Running, *arguments: str) -> str:
    output: Any
    command = ["python", "/attack.py", *arguments]
    _, output = runtime.client.containers.get(running.runtime_id).exec_run(command)
    return str(output.decode())


@pytest.fixture
def listener() -> Iterator[int]:
    """A port that `web` opens, on which this machine listens, on all its addresses."""
    server = _server()
    accept_all(server)
    yield server.getsockname()[1]
    server.close()


def _server() -> socket.socket:
    for port in (8080, 80):
        with contextlib.suppress(OSError):
            return socket.create_server(("", port))
    return socket.create_server(("", 443))


@pytest.mark.skipif(os.geteuid() != 0, reason="the rules that keep containers from the host need root")
@pytest.mark.parametrize("sandbox", ["", "runsc"])
def test_every_way_out_is_shut(
    runtime: DockerRuntime, artifact: Artifact, listener: int, sandbox: str
) -> None:
    if sandbox and sandbox not in runtime.client.info()["Runtimes"]:
        pytest.skip("the engine has no gVisor")
    running, neighbour = start(runtime, artifact, 1, sandbox), start(runtime, artifact, 2)
    own = sorted(egress_policy.own_addresses() - {"127.0.0.1"})
    targets = {
        "a neighbour": (neighbour.address.partition(":")[0], 7860),
        **{f"this machine at {one}": (one, listener) for one in own},
    }
    for target in targets.values():  # from here all of them can be reached
        socket.create_connection(target, 5).close()

    found = json.loads(attack(runtime, running, json.dumps(targets)))

    assert (found.pop("kernel") == os.uname().release) == (not sandbox)
    assert len(found) - len(targets) == ATTACKS
    unshut = {name: ended for name, ended in found.items() if not ended.startswith(hostile_space.SHUT)}
    if sandbox:  # these are gVisor's own to answer: none reaches this machine's kernel
        answered = ("system call", "outlives the platform")
        unshut = {name: ended for name, ended in unshut.items() if not name.startswith(answered)}
    assert unshut == {}
    first = runtime.client.api.inspect_container(running.runtime_id)["State"]["Pid"]
    assert int(Path(f"/proc/{first}/oom_score_adj").read_text()) == container.OOM_SCORE
    for one in (running, neighbour):
        runtime.stop(one.runtime_id, grace_s=1)


def test_a_space_never_runs_outside_of_its_tiers_sandbox(runtime: DockerRuntime, artifact: Artifact) -> None:
    with pytest.raises(StartFailed, match=r"'no-such', which this node's .*does not have \(it has .*runc"):
        start(runtime, artifact, 4, "no-such")
    assert 4 not in runtime.running()


def test_a_fork_bomb_meets_its_limit_and_the_space_goes_on(
    runtime: DockerRuntime, artifact: Artifact
) -> None:
    running = start(runtime, artifact, 3)
    assert attack(runtime, running).startswith(hostile_space.SHUT)
    assert asyncio.run(readiness.answers(running.address, "docker"))
    config = runtime.client.api.inspect_container(running.runtime_id)["HostConfig"]
    assert config["PidsLimit"] == TIERS["cpu"].pids
    assert config["OomScoreAdj"] > 0, "a Space ends before the platform where memory is short"
