"""The agent makes what runs agree with what is wanted, whatever dies in between."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hardware import agent as agent_module
from hardware import devices, logs, nodes, readiness, replicas
from hardware.agent import Agent
from hardware.devices import Device
from hardware.models import Replica, VolumeHome
from hardware.placement import taking
from hardware.runtimes.base import NamedVolume, ReplicaSpec
from hardware.runtimes.process import ProcessRuntime
from hardware.upkeep import leftovers, lost, volumes
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django.fixtures import Settings

    from hardware.runtimes.base import Artifact
    from spaces.models import Space

State = Replica.State
Patch = pytest.MonkeyPatch


def order(space: Space, artifact: Artifact, tier: str = "cpu", **more: object) -> Replica:
    values: dict[str, object] = {
        "space": str(space), "space_id": space.pk, "sdk": "gradio", "artifact": artifact, "tier": tier, **more
    }  # fmt: skip
    return replicas.order(space_id=space.pk, build_id=None, spec=ReplicaSpec(**values))  # type: ignore[arg-type]


def until(replica: Replica, state: str, timeout_s: float = 40) -> Replica:
    def reached() -> bool:
        replica.refresh_from_db()
        return replica.state == state

    wait_until(reached, f"replica is {state}", timeout_s)
    return replica


def test_an_ordered_replica_gets_ready_and_stops_when_no_longer_wanted(
    agent: Agent, space: Space, build: Callable[[str], Artifact], runtime: ProcessRuntime
) -> None:
    replica = until(order(space, build("echo")), State.READY)
    assert replica.node is not None
    assert replica.node.name == "here"
    assert replica.report["gradio"].startswith("6.")
    assert asyncio.run(readiness.answers(replica.address, "gradio"))
    # What it says is carried behind it.
    wait_until(lambda: any("Running on" in entry.text for entry in logs.tail("run", space.pk)), "its log", 10)

    replicas.order_stop(replica)
    until(replica, State.STOPPED)
    assert replica.address == ""
    assert runtime.running() == {}


def test_while_nothing_changes_a_look_is_one_query(
    space: Space, build: Callable[[str], Artifact], runtime: ProcessRuntime
) -> None:
    agent = Agent("here", {"cpu": False}, runtime)
    row = order(space, build("echo"))
    Replica.objects.filter(pk=row.pk).update(node=agent.node_id, state=State.STOPPED)
    agent.reconcile()  # the first one also adopts what it finds
    with CaptureQueriesContext(connection) as queries:
        agent.reconcile()
    assert len(queries) == 1


def test_what_replaces_a_replica_is_prepared_once_while_it_is_built(
    agent: Agent, space: Space, build: Callable[[str], Artifact], runtime: ProcessRuntime, monkeypatch: Patch
) -> None:
    prepared: list[ReplicaSpec] = []
    monkeypatch.setattr(runtime, "prepare", prepared.append)
    replica = until(order(space, build("echo")), State.READY)
    replicas.announce(space.pk, "a" * 40, "dependencies:1")
    wait_until(lambda: bool(prepared), "it is prepared", 10)
    spec = replicas.spec_of(replica.pk)
    assert prepared == [replace(spec, artifact=replace(spec.artifact, image="dependencies:1"))]
    replica.refresh_from_db()
    assert replica.next_image == ""

    Replica.objects.update(reloaded_to="b" * 40)
    replicas.announce(space.pk, "b" * 40, "dependencies:2")
    replica.refresh_from_db()
    assert replica.next_image == "", "its process has that code"


def test_a_replica_that_dies_is_started_again(
    agent: Agent, space: Space, build: Callable[[str], Artifact]
) -> None:
    replica = until(order(space, build("echo")), State.READY)
    first = replica.runtime_id
    os.kill(int(first.split("-")[1]), signal.SIGKILL)

    wait_until(lambda: Replica.objects.get(pk=replica.pk).runtime_id != first, "another process")
    until(replica, State.READY)
    assert asyncio.run(readiness.answers(replica.address, "gradio"))


def test_an_app_that_crashes_at_its_start_fails_with_its_last_lines(
    agent: Agent, space: Space, build: Callable[[str], Artifact], runtime: ProcessRuntime
) -> None:
    replica = until(order(space, build("crash")), State.FAILED)
    assert "exited with code 3" in replica.reason
    assert "about to crash" in replica.reason
    assert runtime.running() == {}


def test_an_app_that_never_answers_fails(
    agent: Agent, space: Space, build: Callable[[str], Artifact]
) -> None:
    replica = until(order(space, build("silent"), start_timeout_s=2), State.FAILED)
    assert "did not answer on port 7860 within 2 s. It has opened no port." in replica.reason
    assert "waiting for nothing" in replica.reason


def test_an_app_that_keeps_dying_fails_after_its_attempts(
    agent: Agent, space: Space, build: Callable[[str], Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_module, "MAX_RESTARTS", 1)
    replica = until(order(space, build("dies_when_asked")), State.READY)
    for _ in range(2):
        with pytest.raises(requests.RequestException):
            requests.get(f"http://{until(replica, State.READY).address}/die", timeout=5)
        wait_until(lambda: Replica.objects.get(pk=replica.pk).state != State.READY, "the agent sees it")
    until(replica, State.FAILED)
    assert replica.restarts == 1
    assert "exited with code 9. It ended 2 times in a row and is not started again." in replica.reason


def test_a_new_agent_adopts_what_runs(
    space: Space, build: Callable[[str], Artifact], runtime: ProcessRuntime
) -> None:
    first = Agent("here", {"cpu": False}, runtime)
    first.start()
    replica = until(order(space, build("echo")), State.READY)
    first.stop()
    assert asyncio.run(readiness.answers(replica.address, "gradio"))
    assert not nodes.up("cpu")

    before = replica.runtime_id
    second = Agent("here", {"cpu": False}, runtime)
    second.reconcile()
    second.reconcile()
    assert runtime.running()[replica.pk].runtime_id == before
    replica.refresh_from_db()
    assert (replica.state, replica.runtime_id) == (State.READY, before)
    second.stop()


def test_what_ended_while_no_agent_watched_is_started_again_without_blame(
    space: Space, build: Callable[[str], Artifact], runtime: ProcessRuntime
) -> None:
    first = Agent("here", {"cpu": False}, runtime)
    first.start()
    replica = until(order(space, build("echo")), State.READY)
    first.stop()
    runtime.stop(replica.runtime_id)

    second = Agent("here", {"cpu": False}, runtime)
    second.start()
    wait_until(runtime.running, "it runs again")
    until(replica, State.READY)
    assert replica.restarts == 0
    second.stop()


def test_a_process_whose_space_was_deleted_is_stopped(
    agent: Agent, space: Space, build: Callable[[str], Artifact], runtime: ProcessRuntime
) -> None:
    until(order(space, build("echo")), State.READY)
    space.delete()
    wait_until(lambda: not runtime.running(), "nothing runs")


def test_what_another_node_runs_on_this_machine_is_left_alone_and_no_reason_to_look_again(
    agent: Agent, space: Space, build: Callable[[str], Artifact], runtime: ProcessRuntime
) -> None:
    replica = until(order(space, build("echo")), State.READY)
    neighbour = Agent("there", {"t4": True}, runtime)
    neighbour.reconcile()
    neighbour._pool.shutdown(wait=True)
    assert runtime.running()[replica.pk].runtime_id == replica.runtime_id
    assert not neighbour._hinted.is_set()


def test_a_tier_without_a_node_waits_and_says_so(
    agent: Agent, space: Space, build: Callable[[str], Artifact]
) -> None:
    replica = order(space, build("echo"), "a100")
    assert nodes.absence("a100") == (
        "No node with NVIDIA A100 hardware is up. The Space starts by itself when one comes."
    )
    agent.reconcile()
    replica.refresh_from_db()
    assert replica.state == State.PENDING
    replicas.order_stop(replica)
    assert replica.state == State.STOPPED


def test_each_replica_of_a_gpu_tier_sees_one_device_alone_and_others_none(
    space: Space, build: Callable[[str], Artifact], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, size = "NVIDIA A100-SXM4-80GB", 80 * 1024**3
    there = [Device(uuid=f"GPU-{n}", name=name, memory_bytes=size) for n in (1, 2)]
    monkeypatch.setattr(devices, "found", lambda: there)
    # Started by themselves: /proc shows the variables that a process began with, not those of a fork.
    made = Agent("here", {"cpu": False, "a100": False}, ProcessRuntime(home))
    made.start()
    try:
        seen = []
        for tier in ("a100", "a100", "cpu"):
            replica = until(order(space, build("echo"), tier), State.READY)
            assert not replica.simulated
            shim = replica.runtime_id.split("-")[1]
            (app,) = Path(f"/proc/{shim}/task/{shim}/children").read_text().split()
            variables = Path(f"/proc/{app}/environ").read_bytes().split(b"\0")
            seen += [v.decode() for v in variables if v.startswith(b"CUDA_VISIBLE_DEVICES=")]
        *gpus, nothing = (value.partition("=")[2] for value in seen)
        assert sorted(gpus) == ["GPU-1", "GPU-2"]
        assert nothing == ""
    finally:
        for replica in Replica.objects.filter(space=space):
            replicas.order_stop(replica)
        made.stop()


def test_a_simulated_tier_is_marked(agent: Agent, space: Space, build: Callable[[str], Artifact]) -> None:
    replica = until(order(space, build("echo"), "t4"), State.READY)
    assert replica.simulated
    offers = {offer.tier: (offer.up, offer.simulated) for offer in nodes.offers()}
    assert offers == {"cpu": (True, False), "t4": (True, True), "a100": (False, False)}


def test_a_node_that_comes_back_goes_on_with_what_it_still_runs(
    agent: Agent, space: Space, build: Callable[[str], Artifact], runtime: ProcessRuntime
) -> None:
    """No other node took it meanwhile: the app is not started again."""
    replica = until(order(space, build("echo")), State.READY)
    before = replica.runtime_id
    lost._release(replica)
    wait_until(lambda: Replica.objects.get(pk=replica.pk).state == State.READY, "it serves again")
    assert until(replica, State.READY).runtime_id == before
    assert runtime.running()[replica.pk].runtime_id == before


def test_an_app_that_fails_in_its_start_up_work_never_was_ready(
    agent: Agent, space: Space, build: Callable[[str], Artifact]
) -> None:
    """Its server answers before that work is done."""
    replica = until(order(space, build("fails_at_start")), State.FAILED)
    assert replica.ready_at is None
    assert "exited with code 1" in replica.reason


def test_an_app_that_describes_itself_falsely_fails_with_the_reason(
    agent: Agent, space: Space, build: Callable[[str], Artifact], runtime: ProcessRuntime
) -> None:
    replica = until(order(space, build("bad_config")), State.FAILED)
    assert replica.ready_at is None
    assert "api_prefix that is no path: '@127.0.0.1:9/x'" in replica.reason
    wait_until(lambda: runtime.running() == {}, "it is stopped")


def test_plain_processes_share_a_named_volume_that_outlives_them(
    agent: Agent,
    space: Space,
    build: Callable[[str], Artifact],
    runtime: ProcessRuntime,
    home: Path,
    settings: Settings,
) -> None:
    artifact = build("dies_when_asked")
    store = NamedVolume(volume_id=5, name="alice/store", path="/home/user/deep/store")
    one, two = (until(order(space, artifact, volumes=(store,)), State.READY) for _ in range(2))
    (home / "replicas" / str(one.pk) / "home/deep/store/kept").write_bytes(b"x" * 10_000)
    assert (home / "replicas" / str(two.pk) / "home/deep/store/kept").stat().st_size == 10_000
    assert VolumeHome.objects.get(volume_id=5).place == runtime.place
    for row in (one, two):
        replicas.order_stop(row)
        until(row, State.STOPPED)
    assert runtime.volume_uses()[5].files == 1
    assert runtime.volume_uses()[5].size_bytes >= 10_000

    elsewhere = replace(store, volume_id=6, path="/data")
    refused = until(order(space, artifact, volumes=(store, elsewhere)), State.FAILED)
    assert "cannot be mounted at /data, only below /home/user" in refused.reason
    settings.SPACEPORT_VOLUME_GB = 0.000001
    refused = until(order(space, artifact, volumes=(store,)), State.FAILED)
    assert "volume alice/store holds more than 1e-06 GB" in refused.reason

    volumes.forget(5)
    leftovers.clear("here", runtime)
    assert 5 not in runtime.volume_uses()


def test_a_replica_waits_for_the_node_that_keeps_its_volume(
    agent: Agent, space: Space, build: Callable[[str], Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "PATIENCE_S", 0)
    there = VolumeHome.objects.create(volume_id=7, place="another machine")
    store = NamedVolume(volume_id=7, name="alice/store", path="/home/user/store")
    waiting = order(space, build("dies_when_asked"), volumes=(store,))
    until(order(space, build("dies_when_asked")), State.READY)
    assert until(waiting, State.PENDING).node is None
    there.delete()
    until(waiting, State.READY)
