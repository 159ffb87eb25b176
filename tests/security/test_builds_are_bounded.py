"""What one build may take: it ends with the reason, and nobody else notices."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hardware.runtimes.base import BuildFailed
from tests.security.builds import BASE, build
from tests.waiting import wait_until

if TYPE_CHECKING:
    from hardware.runtimes.docker import DockerRuntime

pytestmark = pytest.mark.docker


@pytest.fixture(autouse=True)
def small(settings: Any) -> None:
    settings.SPACEPORT_BUILD_MEMORY_GB = 0.25
    settings.SPACEPORT_BUILD_DISK_GB = 1
    settings.SPACEPORT_BUILD_PROCESSES = 200


#: Step of a Dockerfile, and the reason its build ends with.
HOGS = {
    "processes": ("COPY hog.py /tmp/\nRUN python /tmp/hog.py fork", "more than 200 processes"),
    "memory": ("RUN python -c 'print(len(bytearray(10**9)))'", r"more than 0\.25 GB of memory"),
    "one file": ("RUN dd if=/dev/zero of=/hog bs=1M count=3000", "of disk|File size limit|File too large"),
    "files": ("RUN for i in 1 2 3 4 5 6; do dd if=/dev/zero of=/hog$i bs=1M count=500; done", "1 GB of disk"),
    "removed files": ("COPY hog.py /tmp/\nRUN python /tmp/hog.py remove", "1 GB of disk"),
    "time": ("RUN sleep 4321", "longer than 15 s"),
}
HOG = """import os, sys, time
while sys.argv[1] == "fork":  # for ever, unlike a shell, which ends where it cannot fork
    try:
        os.fork() or time.sleep(600)
    except OSError:
        time.sleep(0.01)
kept = []
while True:
    kept.append(open("/hog", "wb", buffering=0))
    os.unlink("/hog")
    for _ in range(500):
        kept[-1].write(bytes(10**6))
"""


@pytest.mark.parametrize("what", HOGS)
def test_a_build_that_takes_too_much_is_ended_with_the_reason(
    runtime: DockerRuntime, tmp_path: Path, what: str
) -> None:
    step, reason = HOGS[what]
    (tmp_path / "hog.py").write_text(HOG)
    with pytest.raises(BuildFailed, match=reason):
        build(runtime, tmp_path, f"{BASE}USER root\n{step}\n", timeout_s=15 if what == "time" else 200)
    wait_until(lambda: not _left(b"4321", b"/hog"), "nothing is left of it")
    mine = {"label": f"spaceport.installation={runtime.installation}"}
    assert runtime.client.api.containers(all=True, filters=mine) == []


def test_root_of_a_build_is_nobody_outside_and_set_uid_gives_nothing(
    runtime: DockerRuntime, tmp_path: Path
) -> None:
    steps = """USER root
RUN cp /usr/bin/id /idd && chmod 4755 /idd && cat /proc/self/uid_map && grep NoNewPrivs /proc/self/status
RUN mount -t tmpfs none /mnt && echo MOUNTED || true
RUN python -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)' && echo RAW || true
USER 65534
RUN echo uid $(/idd -u)
"""
    _, log = build(runtime, tmp_path, BASE + steps)
    lines = [line.split() for line in log.splitlines()]
    assert ["0", "2000000000", "16777216"] in lines
    assert ["NoNewPrivs:", "1"] in lines
    assert ["uid", "65534"] in lines
    assert ["MOUNTED"] not in lines
    assert ["RAW"] not in lines


def _left(*words: bytes) -> list[bytes]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes()
            if any(word in line for word in words) and line.startswith((b"sleep", b"dd", b"python")):
                found.append(line)
    return found
