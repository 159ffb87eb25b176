"""Hardware tiers: moving between them, a tier without a node, a simulated one."""

from __future__ import annotations

import subprocess
import sys

import pytest
import requests
from gradio_client import Client
from huggingface_hub.errors import HfHubHTTPError

from tests.platform_server import APPS, ROOT, Platform
from tests.waiting import wait_until

SPACE = "alice/mover"


def test_moving_to_a_tier_that_comes_later(platform: Platform, alice: str) -> None:
    assert platform.push(SPACE, alice, APPS / "echo") == "RUNNING"
    api = platform.api(alice)
    with pytest.raises(HfHubHTTPError, match="There is no hardware 'h999'"):
        api.request_space_hardware(SPACE, "h999")  # type: ignore[arg-type]
    runtime = api.request_space_hardware(SPACE, "t4-small")  # type: ignore[arg-type]
    assert runtime.requested_hardware == "t4-small"
    assert "No node with NVIDIA T4 hardware is up" in str(runtime.raw["errorMessage"])
    # Until one comes, visitors are served where it was.
    assert Client(platform.run_url(SPACE), verbose=False).predict("x", api_name="/echo")
    env = {**platform.env, "SPACEPORT_NODE": "second"}
    with (platform.home / "second.log").open("wb") as log:
        node = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "node", "--tier", "t4", "--simulate"],
            env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        wait_until(
            lambda: api.get_space_runtime(SPACE).hardware == "t4-small", "it runs on the t4", timeout_s=90
        )
        raw = requests.get(f"{platform.url}/api/spaces/{SPACE}/runtime", timeout=10).json()
        assert raw["simulated"] is True
        assert Client(platform.run_url(SPACE), verbose=False).predict("x", api_name="/echo")
        api.request_space_hardware(SPACE, "cpu-basic")  # type: ignore[arg-type]
        wait_until(lambda: api.get_space_runtime(SPACE).hardware == "cpu-basic", "it is back", timeout_s=90)
        assert Client(platform.run_url(SPACE), verbose=False).predict("x", api_name="/echo")
    finally:
        node.terminate()
        node.wait(60)


def test_a_gpu_tier_is_not_served_without_its_device(platform: Platform) -> None:
    command = [sys.executable, str(ROOT / "manage.py"), "node", "--tier", "a100"]
    answer = subprocess.run(
        command, env=platform.env, capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode != 0
    assert "--simulate" in answer.stderr + answer.stdout
