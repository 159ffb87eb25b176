"""What each sandbox costs: the bench's app in a container of each of the engine's runtimes."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gradio_client import Client

from hardware import readiness
from hardware.runtimes.base import Artifact, ReplicaSpec
from hardware.runtimes.docker import DockerRuntime
from hardware.tiers import BUILT_IN
from tests.waiting import wait_until

if TYPE_CHECKING:
    from hardware.runtimes.base import Running
    from tests.bench.sides import Bench

#: Runtimes of an engine that only the engine itself means.
INTERNAL = "io.containerd"
CALLS = 50
#: Seconds for one of each, in a container.
PARTS = """
import json, os, time
def each(what, times):
    began = time.perf_counter()
    for _ in range(times):
        what()
    return (time.perf_counter() - began) / times
def reads():
    with open("/tmp/small", "rb") as file:
        file.read()
def writes():
    with open("/tmp/large", "wb") as file:
        file.write(block)
block = os.urandom(64 << 20)
with open("/tmp/small", "wb") as file:
    file.write(b"x" * 4096)
print(json.dumps({
    "call": each(os.getppid, 20_000), "read": each(reads, 2000), "write": each(writes, 3),
    "process": each(lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0), 30),
    "compute": each(lambda: sum(range(10_000_000)), 1),
}))
"""


def sandboxes(bench: Bench) -> None:
    """Start, call, system call, file access, processes and computing in each."""
    engine = DockerRuntime(bench.platform.home)
    container = engine.client.containers.get(next(iter(engine.running().values())).runtime_id)
    names = [name for name in engine.client.info()["Runtimes"] if not name.startswith(INTERNAL)]
    print(
        "\n| sandbox | start, until it answers | call, p50 | system call | open and read 4 KiB | write 64 MiB"
        " | new process | count to 10 million |\n|---|---|---|---|---|---|---|---|"
    )
    for number, name in enumerate(names):
        spec = ReplicaSpec(
            space="bench/sandbox", space_id=10_000 + number, sdk="gradio", tier="cpu",
            artifact=Artifact(runtime="docker", image=str(container.attrs["Config"]["Image"])),
            limits=replace(BUILT_IN["cpu"].limits, sandbox=name),
        )  # fmt: skip
        began = time.perf_counter()
        running = engine.start(10_000 + number, spec)
        wait_until(lambda: asyncio.run(readiness.probe(running.address, "gradio")) is not None, name, 120)  # noqa: B023
        started_s = time.perf_counter() - began
        call_s, parts = _call_s(running), _parts(engine, running)
        print(
            f"| `{name}` | {started_s:.1f} s | {call_s * 1e3:.0f} ms | {parts['call'] * 1e6:.2f} us | "
            f"{parts['read'] * 1e6:.0f} us | {parts['write'] * 1e3:.0f} ms | "
            f"{parts['process'] * 1e3:.1f} ms | {parts['compute']:.2f} s |",
            flush=True,
        )
        engine.stop(running.runtime_id, grace_s=1)


def _call_s(running: Running) -> float:
    client = Client(f"http://{running.address}", verbose=False)
    taken = []
    for _ in range(CALLS):
        began = time.perf_counter()
        client.predict("x", api_name="/noop")
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _parts(engine: DockerRuntime, running: Running) -> dict[str, float]:
    output: Any
    _, output = engine.client.containers.get(running.runtime_id).exec_run(["python", "-c", PARTS])
    found: dict[str, float] = json.loads(output)
    return found
