"""Where a running Space may connect to: what its policy opens of the public internet, and nothing private."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as ours

from hardware import readiness
from hardware.runtimes import docker_network, egress_policy, firewall
from hardware.runtimes.base import ReplicaSpec
from hardware.runtimes.egress_policy import BadEgress, Egress
from tests.hardware.engine import docker_runtime
from tests.internet import internet
from tests.security.builds import build
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_django.fixtures import Settings

    from hardware.runtimes.base import Artifact, Running
    from hardware.runtimes.docker import DockerRuntime
    from tests.internet import Internet

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root"),
]

PROBE = """
import json, socket, sys
def reach(host, port):
    try:
        socket.create_connection((host, port), 3).close()
        return True
    except OSError:
        return False
print(json.dumps([reach(host, port) for host, port in json.loads(sys.argv[1])]))
"""
SERVER = f'FROM {ours.SPACEPORT_BASE_IMAGE}:py3.11\nCMD ["python", "-m", "http.server", "8080"]\n'


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    with internet(tmp_path_factory.mktemp("internet")) as made:
        yield made


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory, world: Internet) -> Iterator[DockerRuntime]:
    made = docker_runtime(tmp_path_factory.mktemp("way-out"))
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def artifact(runtime: DockerRuntime, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return build(runtime, tmp_path_factory.mktemp("server"), SERVER)[0]


def start(runtime: DockerRuntime, artifact: Artifact, number: int, egress: str) -> Running:
    spec = ReplicaSpec(
        space=f"alice/demo{number}", space_id=number, sdk="docker", artifact=artifact, tier="cpu", port=8080,
        egress=egress,
    )  # fmt: skip
    running = runtime.start(number, spec)
    wait_until(lambda: asyncio.run(readiness.answers(running.address, "docker")), "it answers")
    return running


@pytest.fixture(scope="module")
def web(runtime: DockerRuntime, artifact: Artifact) -> Running:
    return start(runtime, artifact, 1, "web")


def reached(
    runtime: DockerRuntime, running: Running, targets: list[tuple[str, int]]
) -> list[tuple[str, int]]:
    """Those of these targets that this container connects to."""
    output: Any
    command = ["python", "-c", PROBE, json.dumps(targets)]
    code, output = runtime.client.containers.get(running.runtime_id).exec_run(command)
    assert code == 0, output
    return [target for target, did in zip(targets, json.loads(output), strict=True) if did]


@pytest.fixture
def host_port() -> Iterator[int]:
    """A port of `web` on which this machine itself listens, on all its addresses."""
    server = ThreadingHTTPServer(("0.0.0.0", 443), BaseHTTPRequestHandler)  # noqa: S104
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield 443
    server.shutdown()
    server.server_close()


def test_web_opens_three_ports_of_public_addresses_and_names_resolve(
    runtime: DockerRuntime, world: Internet, web: Running
) -> None:
    targets = [(world.host, port) for port in (80, 443, 8080, 5432)]
    for target in targets:  # from here all of them can be reached
        socket.create_connection(target, 5).close()
    assert reached(runtime, web, targets) == targets[:3]
    assert reached(runtime, web, [("pypi.org", 443)]) == [("pypi.org", 443)]


def test_private_addresses_the_host_and_neighbours_are_never_reached(
    runtime: DockerRuntime, world: Internet, artifact: Artifact, web: Running, host_port: int
) -> None:
    neighbours = [start(runtime, artifact, 2, "web"), start(runtime, artifact, 3, "none")]
    own = sorted(egress_policy.own_addresses() - {"127.0.0.1"})
    assert world.near in own
    targets = [
        *((one, 80) for one in (*world.private, world.sixth)),
        *((one, host_port) for one in own),
        *((one.address.partition(":")[0], 8080) for one in neighbours),
    ]
    for target in targets:
        socket.create_connection(target, 5).close()
    assert reached(runtime, web, targets) == []
    for one in neighbours:
        runtime.stop(one.runtime_id, grace_s=1)


def test_none_opens_nothing(runtime: DockerRuntime, world: Internet, artifact: Artifact) -> None:
    running = start(runtime, artifact, 4, "none")
    assert reached(runtime, running, [(world.host, 80), ("pypi.org", 443), (world.private[0], 80)]) == []
    runtime.stop(running.runtime_id, grace_s=1)


def test_a_list_opens_what_it_names_as_far_as_that_is_public(
    runtime: DockerRuntime, world: Internet, artifact: Artifact
) -> None:
    running = start(runtime, artifact, 5, f"{world.host}:5432, {world.private[0]}:80, pypi.org")
    targets = [(world.host, 5432), (world.host, 80), (world.private[0], 80), ("pypi.org", 443)]
    assert reached(runtime, running, targets) == [(world.host, 5432), ("pypi.org", 443)]
    runtime.stop(running.runtime_id, grace_s=1)


def test_the_operator_may_open_private_addresses_to_all(
    runtime: DockerRuntime, world: Internet, artifact: Artifact, settings: Settings
) -> None:
    settings.SPACEPORT_EGRESS_REACHES = [f"{world.private[1]}:80"]
    running = start(runtime, artifact, 6, "web")
    targets = [(world.private[1], 80), (world.private[1], 443), (world.private[0], 80)]
    assert reached(runtime, running, targets) == [(world.private[1], 80)]
    runtime.stop(running.runtime_id, grace_s=1)
    settings.SPACEPORT_EGRESS_REACHES = []
    running = start(runtime, artifact, 7, "web")
    assert reached(runtime, running, targets) == []
    runtime.stop(running.runtime_id, grace_s=1)


MANY = """
import socket, sys
held = []
for _ in range(6):
    try:
        held.append(socket.create_connection((sys.argv[1], 80), 3))
    except ConnectionRefusedError:
        pass
print(len(held))
"""
FLOOD = """
import socket, sys
for _ in range(2000):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(bytes(1000), (sys.argv[1], 53))
"""


def test_a_flood_of_connections_or_bytes_stays_within_bounds(
    runtime: DockerRuntime, world: Internet, artifact: Artifact, settings: Settings
) -> None:
    settings.SPACEPORT_EGRESS_CONNECTIONS, settings.SPACEPORT_EGRESS_MBITS = 4, 1
    running = start(runtime, artifact, 10, f"{world.host}:80")
    container: Any = runtime.client.containers.get(running.runtime_id)
    code, output = container.exec_run(["python", "-c", MANY, world.host])
    assert (code, output.strip()) == (0, b"4")
    code, output = container.exec_run(["python", "-c", FLOOD, world.host])
    assert code == 0, output
    [bridge] = [
        b for b, p in docker_network.ways_out(runtime.client, runtime.installation).items() if world.host in p
    ]
    listing = subprocess.run(
        ["iptables", "-w", "5", "-nvL", f"f-{bridge}"], check=True, capture_output=True, text=True
    )
    dropped = next(line.split() for line in listing.stdout.splitlines() if "DROP" in line)
    assert dropped[0] != "0", listing.stdout
    runtime.stop(running.runtime_id, grace_s=1)


def test_without_root_the_engine_raises_the_wall(
    runtime: DockerRuntime, world: Internet, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = f"{world.host}:443"
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 1000)
        running = start(runtime, artifact, 8, policy)
    assert reached(runtime, running, [(world.host, 443), (world.host, 80), (world.private[0], 443)]) == [
        (world.host, 443)
    ]
    runtime.stop(running.runtime_id, grace_s=1)


def test_rules_that_somebody_flushed_come_back(runtime: DockerRuntime, world: Internet, web: Running) -> None:
    [bridge] = [
        b for b, p in docker_network.ways_out(runtime.client, runtime.installation).items() if p == "web"
    ]
    closed = [(world.host, 5432), (world.private[0], 80)]
    command = ["iptables", "-w", "5", "-D", "DOCKER-USER", "-i", bridge, "-j", f"f-{bridge}"]
    subprocess.run(command, check=True)
    assert reached(runtime, web, closed) == closed
    runtime.renew_walls()
    assert reached(runtime, web, [*closed, (world.host, 80)]) == [(world.host, 80)]


def test_where_no_wall_can_be_raised_nothing_is_open(
    runtime: DockerRuntime, world: Internet, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firewall, "CHOOSE", "ipt=false")
    running = start(runtime, artifact, 9, "web")
    assert reached(runtime, running, [(world.host, 80)]) == []
    runtime.stop(running.runtime_id, grace_s=1)


def test_nothing_is_left_of_an_installation(world: Internet, artifact: Artifact, tmp_path: Path) -> None:
    gone = docker_runtime(tmp_path)
    try:
        start(gone, artifact, 1, "web")
        bridges = docker_network.ways_out(gone.client, gone.installation)
        assert "web" in bridges.values()
    finally:
        gone.dispose()
    assert docker_network.ways_out(gone.client, gone.installation) == {}
    left = subprocess.run(["iptables", "-S"], capture_output=True, text=True, check=True).stdout
    assert not [bridge for bridge in bridges if bridge in left]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("web", Egress(web=True)),
        (" none ", Egress()),
        ("b.example:5432 a.example", Egress(targets=("a.example", "b.example:5432"))),
        ("203.0.113.0/24", Egress(targets=("203.0.113.0/24",))),
    ],
)
def test_a_policy_is_web_none_or_a_list(text: str, meaning: Egress) -> None:
    assert Egress.parse(text) == meaning
    assert Egress.parse(str(meaning)) == meaning


@pytest.mark.parametrize(
    "text", ["", "web, none", "web a.example", "-j ACCEPT", "a.example:99999", "a;b", "::1"]
)
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(BadEgress):
        Egress.parse(text)
