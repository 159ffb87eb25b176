"""What the kernel gives a Space that is a plain process: it finds neither the platform's folder nor other
Spaces', nor the platform's processes."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from gradio_client import Client

from hardware import readiness
from hardware.runtimes.base import BuildSpec, ReplicaSpec, StartFailed
from hardware.runtimes.base_image import LAUNCHER
from hardware.runtimes.process import ProcessRuntime
from hardware.tiers import TIERS
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hardware.runtimes.base import Artifact

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")

APP = """
import gradio as gr


def attack(home, platform, launcher):
    import ctypes, json, os, pathlib, signal, socket, subprocess, sys, tempfile
    libc = ctypes.CDLL(None, use_errno=True)
    def tried(what):
        try:
            return what()
        except OSError as error:
            return type(error).__name__
    def called(number, *arguments):
        return "OPEN" if libc.syscall(number, *arguments) >= 0 else "shut"
    def connected(address):
        with socket.socket(socket.AF_UNIX) as door:
            door.connect(address)
    at = pathlib.Path(home)
    lines = [line.split(":") for line in open("/proc/self/status")]
    status = {line[0]: line[1] for line in lines if len(line) == 2}
    return json.dumps({
        "sees": sorted(str(path.relative_to(at)) for path in at.glob("*/*")),
        "shut": {
            "secret": tried((at / "secret_key").read_text),
            "database": tried(lambda: connected(str(at / "database"))),
            "log": tried((at / "replicas" / "1" / "log").read_text),
            "neighbour": tried((at / "replicas" / "99" / "home" / "x").read_text),
            "new file beside": tried((at / "x").touch),
            "environment": tried(pathlib.Path(f"/proc/{platform}/environ").read_bytes),
            "memory": tried(lambda: open(f"/proc/{platform}/mem", "rb")),
            "root": tried(lambda: os.listdir(f"/proc/{platform}/root")),
            "signal": tried(lambda: os.kill(platform, 0)),
            "abstract socket": tried(lambda: connected(chr(0) + home[-90:])),
            "system": tried(pathlib.Path("/etc/spaceport").touch),
            "platform's code": tried(pathlib.Path(launcher, "x").touch),
        },
        "calls": {
            "ptrace": called(101, 16, platform, 0, 0),
            "umount": called(166, home.encode(), 2),
            "mount": called(165, b"none", b"/mnt", b"tmpfs", 0, 0),
        },
        "capabilities": sorted({status[name].strip() for name in status if name.startswith("Cap")}),
        "no_new_privileges": status["NoNewPrivs"].strip(),
        "writes": [
            tried(lambda path=path: pathlib.Path(path).expanduser().write_text("x"))
            for path in ("~/x", "x", "/tmp/spaceport-wall", tempfile.mktemp(), f"{sys.prefix}/x", "/dev/null")
        ],
        "cache": tried(lambda: os.makedirs(os.environ["HF_HOME"] + "/hub", exist_ok=True)),
        "user": [os.getuid(), int(subprocess.run(["id", "-u"], capture_output=True).stdout)],
    })


gr.Interface(attack, ["text", "number", "text"], "text", api_name="attack").launch()
"""

BOMB = """
import os, signal, time
for _ in range(30):
    if os.fork() == 0:
        os.setsid()
        signal.pause()
time.sleep(600)
"""


@pytest.fixture(params=["by itself", "forked"])
def walled(request: pytest.FixtureRequest, home: Path) -> Iterator[ProcessRuntime]:
    made = ProcessRuntime(home, standby=int(request.param == "forked"))
    yield made
    for running in made.running().values():
        made.stop(running.runtime_id, grace_s=2)


def test_an_app_finds_nothing_of_the_platform(walled: ProcessRuntime, home: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    spec = BuildSpec(space="mallory/app", space_id=7, sha="5" * 40, sdk="gradio", source=tmp_path)
    artifact = walled.build(spec, lambda _line: None)
    replica = ReplicaSpec(space="mallory/app", space_id=7, sdk="gradio", artifact=artifact, tier="cpu")
    (home / "secret_key").write_text("secret")
    (home / "replicas" / "99" / "home").mkdir(parents=True, exist_ok=True)
    (home / "replicas" / "99" / "home" / "x").write_text("another's")
    with socket.socket(socket.AF_UNIX) as database, socket.socket(socket.AF_UNIX) as abstract:
        (home / "database").unlink(missing_ok=True)
        database.bind(str(home / "database"))
        abstract.bind("\0" + str(home)[-90:])
        database.listen()
        abstract.listen()
        running = walled.start(1, replica)
        wait_until(lambda: asyncio.run(readiness.probe(running.address, "gradio")) is not None, "ready", 90)
        client = Client(f"http://{running.address}", verbose=False, download_files=str(tmp_path))
        found = json.loads(client.predict(str(home), os.getpid(), str(LAUNCHER), api_name="/attack"))
    assert found["sees"] == [
        "caches/7",
        "code/7",
        f"environments/{Path(artifact.environment).name}",
        "replicas/1",
    ]
    for name in ("secret", "database", "log", "neighbour", "new file beside"):
        assert found["shut"].pop(name) in {"FileNotFoundError", "OSError"}, name
    # Read-only, or not for it to write to.
    assert found["shut"].pop("platform's code") in {"OSError", "PermissionError"}
    assert set(found["shut"].values()) == {"PermissionError"}, found["shut"]
    assert set(found["calls"].values()) == {"shut"}
    assert (found["capabilities"], found["no_new_privileges"]) == (["0" * 16], "1")
    assert found["writes"] == [1] * 6
    assert found["cache"] is None
    assert found["user"] == [os.getuid()] * 2
    assert walled.listeners(running.runtime_id), "it is watched from outside"
    (Path(artifact.environment) / "x").unlink()


def test_a_process_never_stands_in_for_a_sandbox(
    runtime: ProcessRuntime, build: Callable[[str], Artifact]
) -> None:
    limits = replace(TIERS["cpu"].limits, sandbox="runsc")
    spec = ReplicaSpec(
        space="alice/demo", space_id=1, sdk="gradio", artifact=build("echo"), tier="cpu", limits=limits
    )
    with pytest.raises(StartFailed, match="'runsc', which needs a container engine"):
        runtime.start(5, spec)


def test_a_fork_bomb_ends_the_app_alone(runtime: ProcessRuntime, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(BOMB)
    spec = BuildSpec(space="mallory/bomb", space_id=8, sha="6" * 40, sdk="gradio", source=tmp_path)
    running = runtime.start(
        6,
        ReplicaSpec(
            space="mallory/bomb", space_id=8, sdk="gradio", artifact=runtime.build(spec, lambda _line: None),
            tier="cpu", limits=replace(TIERS["cpu"].limits, pids=16),
        ),
    )  # fmt: skip
    wait_until(lambda: runtime.poll(running.runtime_id) is not None, "it was ended", 60)
    ended = runtime.poll(running.runtime_id)
    assert ended is not None
    assert "it had more than 16 processes" in ended.reason
