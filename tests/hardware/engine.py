"""The Docker engine for tests: required where SPACEPORT_REQUIRE_DOCKER says so, and a listener before it."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from hardware.runtimes.base import EngineUnavailable
from hardware.runtimes.docker import DockerRuntime

if TYPE_CHECKING:
    from pathlib import Path

ENGINE = "/var/run/docker.sock"


def docker_runtime(home: Path) -> DockerRuntime:
    """The docker runtime; skips the test where no engine answers and none is required."""
    try:
        return DockerRuntime(home)
    except EngineUnavailable as error:
        if os.environ.get("SPACEPORT_REQUIRE_DOCKER"):
            raise
        pytest.skip(str(error))


class Listener:
    """A unix socket that passes everything on to the real engine, and keeps what was asked."""

    def __init__(self, path: Path) -> None:
        self._asked: list[bytearray] = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def bodies(self, path: str) -> list[dict[str, Any]]:
        """The JSON bodies of the POST requests to this path."""
        found = []
        for asked in self._asked:
            for request in re.finditer(rb"POST \S*" + path.encode() + rb"\S* HTTP/1.1\r\n", asked):
                head, _, rest = bytes(asked[request.end() :]).partition(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                found.append(json.loads(rest[: int(length[1])] if length else b"{}"))
        return found

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(ENGINE)
            asked = bytearray()
            self._asked.append(asked)
            threading.Thread(target=self._pass_on, args=(client, engine, asked), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(engine, client, bytearray()), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
        try:
            while data := source.recv(65536):
                kept += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
