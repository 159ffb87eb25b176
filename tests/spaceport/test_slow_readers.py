"""Clients that ask for a large file and read nothing of it cost the web process little memory."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.hub_server import Hub
from tests.platform_server import new_home

SIZE = 16_000_000
READERS = 8
FILE = "/spaces/alice/large/resolve/main/large.bin"
CONTENT = os.urandom(SIZE)


@pytest.fixture(params=["daphne", "uvicorn"])
def web(request: pytest.FixtureRequest) -> Iterator[Hub]:
    home = new_home()
    hub = Hub(home, web_server=request.param, settings={"SPACEPORT_UPLOAD_LIMIT_BYTES": str(SIZE)})
    try:
        hub.start()
        api = hub.api("alice")
        api.create_repo("alice/large", repo_type="space", space_sdk="gradio")
        api.upload_file(
            path_or_fileobj=CONTENT, path_in_repo="large.bin", repo_id="alice/large", repo_type="space"
        )
        yield hub
        assert "Traceback" not in hub.log(), hub.log()
    finally:
        hub.stop()
        shutil.rmtree(home, ignore_errors=True)


def peak(hub: Hub) -> int:
    """Bytes of memory that the web process had at most."""
    assert hub.process is not None
    status = Path(f"/proc/{hub.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def asking(hub: Hub) -> socket.socket:
    """A connection that has asked for the file, and reads nothing."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    connection.connect(("127.0.0.1", hub.port))
    connection.sendall(f"GET {FILE} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    return connection


def test_who_reads_nothing_is_sent_nothing_more(web: Hub) -> None:
    before = peak(web)
    with ExitStack() as stack:
        stalled = [stack.enter_context(asking(web)) for _ in range(READERS)]
        assert web.call("GET", FILE).content == CONTENT  # those before it had as much time
        assert peak(web) - before < 2 * SIZE
        for connection in stalled:
            received = bytearray()
            while chunk := connection.recv(1024 * 1024):
                received += chunk
            assert received.endswith(CONTENT)
