"""A docker runtime to build hostile things with, and what listens for them."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from hardware.runtimes import build_job
from hardware.runtimes.base import Artifact, BuildFailed, BuildSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hardware.runtimes.docker import DockerRuntime

BASE = "FROM spaceport/base:py3.11\n"
_numbers = itertools.count(1)


class Canary:
    """Listens on every address of this machine, and keeps what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        canary = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                canary.asked.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"canary")

            do_HEAD = do_POST = do_GET

        self._server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)  # noqa: S104  # every way in is tried
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()


@contextlib.contextmanager
def canary() -> Iterator[Canary]:
    made = Canary()
    yield made
    made.close()


def build(
    runtime: DockerRuntime, folder: Path, dockerfile: str, *, space_id: int = 1, timeout_s: float = 200
) -> tuple[Artifact, str]:
    """Build this Dockerfile in `folder` as the Space of this number; what it made, and its log.

    Raises:
        BuildFailed: with the log behind its sentence.
    """
    (folder / "Dockerfile").write_text(dockerfile)
    lines: list[str] = []
    spec = BuildSpec(
        space=f"owner{space_id}/space", space_id=space_id, sha=f"{next(_numbers):012x}".ljust(40, "0"),
        sdk="docker", source=folder, timeout_s=timeout_s,
    )  # fmt: skip
    try:
        artifact = runtime.build(spec, lines.append)
    except BuildFailed as error:
        raise BuildFailed("\n".join([str(error), *lines])) from error
    return artifact, "\n".join(lines)


#: Stands before buildah in a builder container: builds with each Dockerfile of the folder `all/`, some at a
#: time, and says how each ended before what it printed.
EACH = r"""#!/bin/sh
[ "$1" = build ] || exec /usr/bin/buildah "$@"
shift
one() {
    number="$1"; shift
    printed="$(/usr/bin/buildah build --file "/build/context/all/$number" "$@" 2>&1 </dev/null)"
    printf 'ENDED %s %s\n%s\n' "$number" "$?" "$printed"
}
number=0
while [ -e "/build/context/all/$number" ]; do
    one "$number" "$@" > "/out/$number" &
    number=$((number + 1))
    [ $((number % 4)) -ne 0 ] || wait
done
wait
cat /out/*
exit 1
"""
ENDED = re.compile(r"^ENDED (\d+) (\d+)$", re.MULTILINE)


def build_each(
    runtime: DockerRuntime, folder: Path, dockerfiles: list[str], *, space_id: int = 1
) -> list[tuple[bool, str]]:
    """Build each of these Dockerfiles in one builder container: whether it was built, and its log."""
    (folder / "all").mkdir()
    for number, text in enumerate(dockerfiles):
        (folder / "all" / str(number)).write_text(text)
    script = io.BytesIO()
    with tarfile.open(fileobj=script, mode="w") as tar:
        entry = tarfile.TarInfo("buildah")
        entry.size, entry.mode = len(EACH), 0o755
        tar.addfile(entry, io.BytesIO(EACH.encode()))

    def enter(job: build_job.Job) -> build_job.Job:
        job.api.put_archive(job.id, "/usr/local/bin", script.getvalue())
        return job

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_job.Job, "__enter__", enter)
        with pytest.raises(BuildFailed) as failed:
            build(runtime, folder, BASE, space_id=space_id)
    _, *parts = ENDED.split(str(failed.value))
    found = {int(n): (code == "0", log) for n, code, log in zip(*[iter(parts)] * 3, strict=True)}
    return [found[number] for number in range(len(dockerfiles))]
