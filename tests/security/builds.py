"""A docker runtime to build hostile things with, and what listens for them."""

from __future__ import annotations

import contextlib
import itertools
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

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
