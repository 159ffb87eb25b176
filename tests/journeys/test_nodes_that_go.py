"""A tier's only node dies or is full, and a node leaves in good order: what its Spaces' visitors meet."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from gradio_client import Client

from tests.platform_server import APPS, ROOT, Platform
from tests.waiting import eventually, wait_until

SPACE = "alice/travels"
PAUSE_S = 0.2  # between two calls of a visitor: what they wait for needs the processor


@contextlib.contextmanager
def node(platform: Platform, name: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A node with a simulated T4."""
    with (platform.home / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "node", "--tier", "t4", "--simulate"],
            env={**platform.env, "SPACEPORT_NODE": name, **more}, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        for _ in range(2):  # the second ends it at once
            process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.fixture(scope="module")
def token(process_platform: Platform) -> str:
    return process_platform.token("alice")


def runtime(platform: Platform, token: str, space: str = SPACE) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer: dict[str, Any] = requests.get(
        f"{platform.url}/api/spaces/{space}/runtime", headers=headers, timeout=10
    ).json()
    return answer


def runs_on_t4(platform: Platform, token: str, space: str = SPACE, app: str = "echo") -> None:
    platform.push(space, token, APPS / app)
    platform.api(token).request_space_hardware(space, "t4-small")  # type: ignore[arg-type]

    def is_there() -> bool:
        now = runtime(platform, token, space)
        return bool(now["stage"] == "RUNNING" and now["hardware"]["current"] == "t4-small")

    wait_until(is_there, "it runs on the t4", timeout_s=90)


def pause_all_on_t4(platform: Platform, token: str) -> None:
    """What other tests left in line there takes no room."""
    api = platform.api(token)
    for space in api.list_spaces(author="alice"):
        if runtime(platform, token, space.id)["hardware"]["requested"] == "t4-small":
            api.pause_space(space.id)


def test_a_space_whose_only_node_died_says_so_and_goes_on_when_another_comes(
    process_platform: Platform, token: str
) -> None:
    with node(process_platform, "t4a") as dies:
        runs_on_t4(process_platform, token)
        client = Client(process_platform.run_url(SPACE), verbose=False)
        os.kill(dies.pid, signal.SIGKILL)
        waits = client.submit("still here", api_name="/echo")
        wait_until(lambda: runtime(process_platform, token)["stage"] == "APP_STARTING", "it is seen", 45)
    told = runtime(process_platform, token)["errorMessage"]
    assert told.startswith("Its node was lost. No node with NVIDIA T4 hardware is up.")
    host = {"Host": f"alice-travels.localhost:{process_platform.port}", "Accept": "text/html"}
    why = "No node with NVIDIA T4 hardware is up"
    wait_until(
        lambda: why in requests.get(process_platform.url, headers=host, timeout=10).text, "its page says so"
    )
    with process_platform.valkey() as valkey:
        assert valkey.llen("hw.t4@t4a") < 10
        streams = [_all(valkey, key) for key in valkey.scan_iter("sp:*:msgs:*")]
        assert any(b"space.no_hardware" in stream for stream in streams)
    assert not waits.done()
    with node(process_platform, "t4b"):
        assert "still here" in str(waits.result(90))


def _all(valkey: Any, key: bytes) -> bytes:
    return b"".join(fields.get(b"d", b"") for _, fields in valkey.xrange(key))


def test_a_node_that_leaves_hands_over_while_visitors_are_served(
    process_platform: Platform, token: str
) -> None:
    with node(process_platform, "t4c") as leaves:
        runs_on_t4(process_platform, token)
        client = Client(process_platform.run_url(SPACE), verbose=False)
        with node(process_platform, "t4d") as stays:
            metrics = f"{process_platform.url}/metrics"
            admin = {"Authorization": f"Bearer {process_platform.token('admin')}"}
            wait_until(lambda: "t4d" in requests.get(metrics, headers=admin, timeout=10).text, "t4d is up")
            ended = threading.Event()
            stages: set[str] = set()

            def end() -> None:
                leaves.send_signal(signal.SIGTERM)
                leaves.wait(120)
                ended.set()

            threading.Thread(target=end).start()
            served = 0
            while not ended.is_set():
                stages.add(runtime(process_platform, token)["stage"])
                assert "x" in str(client.submit("x", api_name="/echo").result(20))
                served += 1
                ended.wait(PAUSE_S)
            assert stages == {"RUNNING"}
            assert served
            assert leaves.returncode == 0
            assert stays.poll() is None
            assert "x" in str(client.submit("x", api_name="/echo").result(20))
            assert runtime(process_platform, token)["stage"] == "RUNNING"


def test_a_node_that_dies_with_five_hundred_visitors_waiting_loses_none(
    process_platform: Platform, token: str, tmp_path: Path
) -> None:
    space, gate = "alice/crowded", tmp_path / "gate"
    pause_all_on_t4(process_platform, token)
    with node(process_platform, "t4h") as dies:
        runs_on_t4(process_platform, token, space, "gate")
        with node(process_platform, "t4i"):
            call = f"{process_platform.run_url(space)}gradio_api/call/nap"

            async def visit(http: httpx.AsyncClient, name: str) -> str:
                joined = await http.post(call, json={"data": [str(gate), name]})
                async with http.stream(
                    "GET", f"{call}/{joined.raise_for_status().json()['event_id']}"
                ) as told:
                    return (await told.aread()).decode()

            async def crowd() -> list[str]:
                limits = httpx.Limits(max_connections=None)
                async with httpx.AsyncClient(timeout=120, limits=limits) as http:
                    visits = [asyncio.create_task(visit(http, f"v{number}")) for number in range(500)]
                    await eventually(
                        lambda: waiting_in(process_platform, space) == 499, "all are in line", 60
                    )
                    os.kill(dies.pid, signal.SIGKILL)
                    died = time.monotonic()
                    gate.touch()  # what it ran goes on elsewhere
                    answers = await asyncio.gather(*visits)
                    print(f"all were served {time.monotonic() - died:.1f} s after its death")
                    return answers

            answers = asyncio.run(crowd())
            for number, answer in enumerate(answers):
                assert answer.count("event: complete") == 1, answer
                assert f"v{number} done" in answer
            process_platform.api(token).pause_space(space)


def waiting_in(platform: Platform, space: str) -> int:
    """Calls in the line of a Space."""
    queue: dict[str, int] = requests.get(f"{platform.url}/api/spaces/{space}/queue", timeout=10).json()
    return queue["pending"]


def test_a_node_is_drained_and_removed_while_visitors_are_served(
    process_platform: Platform, token: str
) -> None:
    admin = {"Authorization": f"Bearer {process_platform.token('admin')}"}
    nodes = f"{process_platform.url}/api/nodes"

    def state(name: str) -> dict[str, Any]:
        listed = requests.get(nodes, headers=admin, timeout=10).json()
        return next((one for one in listed if one["name"] == name), {})

    pause_all_on_t4(process_platform, token)
    with node(process_platform, "t4f") as drained:
        runs_on_t4(process_platform, token)
        with node(process_platform, "t4g"):
            wait_until(lambda: state("t4g").get("state") == "up", "the other one is up")
            client = Client(process_platform.run_url(SPACE), verbose=False)
            refused = requests.delete(f"{nodes}/t4f", headers=admin, timeout=10)
            assert refused.status_code == 409
            assert refused.json()["error"] == "t4f is up and takes Spaces. Drain it first."
            assert requests.post(f"{nodes}/t4f/drain", headers=admin, timeout=10).status_code == 200
            stages, served = set[str](), 0
            while state("t4f")["state"] != "drained":
                stages.add(runtime(process_platform, token)["stage"])
                assert "x" in str(client.submit("x", api_name="/echo").result(20))
                served += 1
                threading.Event().wait(PAUSE_S)
            assert stages == {"RUNNING"}
            assert served
            assert requests.delete(f"{nodes}/t4f", headers=admin, timeout=10).status_code == 200
            assert drained.wait(60) == 0
            assert state("t4f") == {}
            assert "x" in str(client.submit("x", api_name="/echo").result(20))


def test_a_space_that_finds_no_room_waits_in_line_and_starts_when_there_is_some(
    process_platform: Platform, token: str
) -> None:
    first, second = "alice/fills", "alice/waits"
    api = process_platform.api(token)
    room_for_one = {"SPACEPORT_NODE_MEMORY_GB": "4", "SPACEPORT_OVERCOMMIT_MEMORY": "1"}
    pause_all_on_t4(process_platform, token)
    with node(process_platform, "t4e", **room_for_one):
        runs_on_t4(process_platform, token, first)
        process_platform.push(second, token, APPS / "echo")
        client = Client(process_platform.run_url(second), verbose=False)
        api.request_space_hardware(second, "t4-small")  # type: ignore[arg-type]
        wait_until(lambda: runtime(process_platform, token, second)["waiting"], "it stands in line")
        assert "here" in str(client.predict("here", api_name="/echo")), (
            "it serves on its old hardware meanwhile"
        )

        api.pause_space(second)
        api.restart_space(second)
        why = "Waiting for NVIDIA T4 hardware: other Spaces have its nodes' memory"

        def is_told() -> bool:
            now = runtime(process_platform, token, second)
            return str(now["errorMessage"]).startswith(why) and now["stage"] == "APP_STARTING"

        wait_until(is_told, "its owner is told")
        waiting = runtime(process_platform, "", second)["waiting"]
        assert (waiting["place"], waiting["of"], waiting["likelyS"]) == (1, 1, None)
        host = {"Host": f"alice-waits.localhost:{process_platform.port}", "Accept": "text/html"}
        page = requests.get(process_platform.url, headers=host, timeout=10).text
        assert "Waiting for NVIDIA T4 hardware" in page
        job = client.submit("in time", api_name="/echo")
        api.pause_space(first)
        assert "in time" in str(job.result(90))
        now = runtime(process_platform, token, second)
        assert (now["hardware"]["current"], now["waiting"]) == ("t4-small", None)
        api.pause_space(second)
