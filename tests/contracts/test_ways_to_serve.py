"""However its author serves a Gradio app, the launcher answers for it, it listens where the platform asks,
and a visitor's request that did not come through the queue runs none of its functions."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from hardware.runtimes.base_image import LAUNCHER, MAIN
from tests.platform_server import APPS, free_port
from tests.waiting import wait_until

#: Way -> where its Gradio app is found, and whether the platform's own way into it is open.
WAYS = {
    "uvicorn CLI": ("/ui", True),
    "own environment": ("/ui", True),
    "gunicorn": ("/ui", True),
    "hypercorn": ("/ui", True),
    "hypercorn CLI": ("/ui", True),
    "uvicorn, by name": ("/ui", True),
    "uvicorn, factory": ("/ui", True),
    "uvicorn, thread": ("/ui", True),
    "middleware": ("/ui", False),  # each call has to pass through what stands around the app
    "sub-app": ("/sub/ui", True),
    "included router": (None, False),  # there is no Gradio app: its routes are the server's
    "root": ("", True),
    "root_path": ("/ui", True),
    "two launches": ("", True),
    "launch in a thread": ("", True),
}
#: As the gateway sends it with what it passes on for a visitor.
VISITOR = {"X-Spaceport-Visitor": "1", "X-Forwarded-Host": "demo.example"}
RUNS = ("queue/join", "run/greet", "api/greet", "call/greet", "call/v2/greet", "cancel", "stream/x", "mcp/")


@contextlib.contextmanager
def served(way: str, folder: Path) -> Iterator[str]:
    """The address at which the app is served in this way."""
    port = free_port()
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("SPACEPORT_", "GRADIO_"))},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "SPACEPORT_MAX_THREADS": "40",
        "SERVED": way,
    }
    command = [sys.executable, str(LAUNCHER / MAIN), "app.py"]
    app = subprocess.Popen(command, cwd=APPS / "served", env=env, start_new_session=True)
    try:
        wait_until(lambda: report(f"http://127.0.0.1:{port}"), f"{way} answers", timeout_s=120)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(app.pid, signal.SIGKILL)
        app.wait()


def report(address: str) -> dict[str, Any]:
    """What its launcher says of it; empty while it does not answer."""
    try:
        found: dict[str, Any] = requests.get(f"{address}/__spaceport__/report", timeout=5).json()
    except (requests.RequestException, ValueError):
        return {}
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", WAYS)
def test_no_way_to_serve_lets_a_visitor_past_the_queue(way: str, tmp_path: Path) -> None:
    mount, is_open = WAYS[way]
    with served(way, tmp_path) as address:
        told = report(address)
        assert told["mounts"] == ([] if mount is None else [mount])
        assert [function["api_name"] for function in told["functions"]] == ["greet"] * len(told["mounts"])
        mount = mount or ""
        config = requests.get(f"{address}{mount}/config", headers=VISITOR, timeout=30).json()
        assert config["root"] == "http://demo.example"
        body = {"data": ["Ada"], "fn_index": 0, "session_hash": "s", "event_id": "e"}
        for root in ("", "/proxy"):
            for route in RUNS:
                url = f"{address}{root}{mount}/gradio_api/{route}"
                answer = requests.post(url, json=body, headers=VISITOR, timeout=30)
                assert answer.status_code == 404, url
        heard = requests.get(
            f"{address}{mount}/gradio_api/queue/data?session_hash=s", headers=VISITOR, timeout=30
        )
        assert heard.status_code == 404
        # The platform's own requests do run.
        answer = requests.post(f"{address}{mount}/gradio_api/run/greet", json=body, timeout=30)
        assert answer.json()["data"] == ["hello Ada"]
        hello = requests.post(f"{address}/__spaceport__/calls/2", data=b'{"do": "hello"}\n', timeout=30)
        assert hello.status_code == (200 if is_open else 404)
        if way == "root":
            assert "POST /api/items" in told["own"]
            own = requests.post(f"{address}/api/items", headers=VISITOR, timeout=30)
            assert own.json() == {"own": "items"}
