"""How much of a request is taken, by either server: ordinary ones are small, whatever their address; large
ones only from who may send them. What is over is refused at once, and nothing of it is kept."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from spaceport.web.bodies import ORDINARY, PREUPLOAD_BYTES
from tests.hub_server import Hub
from tests.spaceport.conftest import EVENT, HIDDEN, PUSH, SPACE, VISITOR

JSON = "application/json"


def send(
    hub: Hub, path: str, *headers: str, size: int, chunked: bool = False, told_only: bool = False
) -> int:
    """The status of the answer to a body of this size, all of which is sent unless an answer comes before."""
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    head = "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", length, *headers, "", ""])
    with socket.create_connection(("127.0.0.1", hub.port), 30) as connection:
        connection.sendall(head.encode())
        with contextlib.suppress(ConnectionError):
            left = 0 if told_only else size
            while left > 0:
                piece = b"\n".rjust(min(left, 500_000))
                left -= len(piece)
                connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            if chunked:
                connection.sendall(b"0\r\n\r\n")
        answer = connection.recv(65536)
    return int(answer.split(b" ")[1])


def resident(proc: Path) -> int:
    """Bytes of memory that a process holds."""
    return int((proc / "statm").read_text().split()[1]) * 4096


def refused(hub: Hub, path: str, status: int) -> bool:
    """Whether this tells that nothing was taken. Under uvicorn the gateway may answer before it reads."""
    early = (404, 503) if hub.web_server == "uvicorn" and path.startswith("/run/") else ()
    return status == 413 or status in early


def bearer(hub: Hub, who: str) -> str:
    return f"Authorization: Bearer {hub.tokens[who]}"


ANYWHERE = [
    "/", "/login", "/no/such/page", "/nowhere", "/static/spaceport/theme.js", "/healthz", "/api/repos/create",
    "/api/validate-yaml", f"/api/spaces/{SPACE}/commit/main", f"/api/spaces/{SPACE}/preupload/main",
    f"/{SPACE}.git/git-receive-pack", f"/spaces/{SPACE}/git-upload-pack", "/run/nobody/nothing/upload",
    f"/run/{HIDDEN}/upload",
]  # fmt: skip


@pytest.mark.parametrize("path", ANYWHERE)
def test_a_strangers_large_body_is_refused_before_it_is_sent(web: Hub, path: str) -> None:
    assert send(web, path, f"Content-Type: {JSON}", size=ORDINARY + 1, told_only=True) == 413
    assert send(web, path, "Authorization: Bearer hf_nobodys", size=10**12, told_only=True) == 413


@pytest.mark.parametrize("path", ANYWHERE)
def test_one_that_does_not_say_its_length_is_counted(web: Hub, path: str) -> None:
    assert refused(web, path, send(web, path, f"Content-Type: {JSON}", size=ORDINARY + 600_000, chunked=True))


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("path", "who", "most"),
    [
        (f"/api/spaces/{SPACE}/commit/main", "alice", PUSH),
        (f"/spaces/{SPACE}.git/git-receive-pack", "alice", PUSH),
        (f"/api/spaces/{SPACE}/preupload/main", "alice", PREUPLOAD_BYTES),
        (f"/api/spaces/{SPACE}/commit/main", "alice_read", ORDINARY),
        ("/nowhere", "alice", ORDINARY),
        (f"/run/{SPACE}/upload", "", VISITOR),
        (f"/run/{HIDDEN}/upload", "alice", VISITOR),
        (f"/run/{HIDDEN}/upload", "charlie", ORDINARY),
        (f"/run/{SPACE}/gradio_api/queue/join", "", EVENT),
    ],
)
def test_who_may_sends_more_where_there_is_something_to_send(
    web: Hub, path: str, who: str, most: int, chunked: bool
) -> None:
    headers = [bearer(web, who)] if who else []
    # A chunk or two more than allowed: what is allowed is not refused for its framing.
    assert send(web, path, *headers, size=most - 1000, chunked=chunked) != 413
    assert refused(web, path, send(web, path, *headers, size=most + 600_000, chunked=chunked))


def test_a_demos_own_host_takes_an_upload(web: Hub) -> None:
    host = "Host: alice-fed.localhost"
    head = f"POST /upload HTTP/1.1\r\n{host}\r\nContent-Length: {VISITOR + 1}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", web.port), 30) as connection:
        connection.sendall(head.encode())
        assert b" 413 " in connection.recv(65536).partition(b"\r\n")[0]


def test_a_refused_body_leaves_nothing_on_disk_and_little_in_memory(web: Hub) -> None:
    assert web.process is not None
    proc = Path(f"/proc/{web.process.pid}")
    before = resident(proc)
    sockets = []
    for _ in range(20):
        connection = socket.create_connection(("127.0.0.1", web.port), 30)
        connection.sendall(b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(8):
                connection.sendall(b"%x\r\n%s\r\n" % (1_000_000, b"x" * 1_000_000))
        sockets.append(connection)
    sizes = []
    for fd in (proc / "fd").iterdir():
        with contextlib.suppress(OSError):
            if "(deleted)" in str(fd.readlink()):
                sizes.append(fd.stat().st_size)
    for connection in sockets:
        connection.close()
    assert sum(sizes) <= 20 * ORDINARY
    assert resident(proc) - before < 60_000_000


def test_a_body_that_is_over_is_followed_by_no_second_request(web: Hub) -> None:
    """What comes behind a refusal is thrown away, whatever it looks like."""
    inner = b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", web.port), 30) as connection:
        connection.sendall(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n" + inner)
        answer = b""
        with contextlib.suppress(ConnectionError, TimeoutError):
            connection.settimeout(3)
            while chunk := connection.recv(65536):
                answer += chunk
    assert answer.count(b"HTTP/1.1") == 1
    assert b" 413 " in answer
