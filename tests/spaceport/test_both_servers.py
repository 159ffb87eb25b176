"""Daphne and uvicorn in front of the same application give the same answers to the same bytes."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
from collections.abc import Iterator

import pytest

from tests.hub_server import Hub
from tests.platform_server import new_home

SPACE = "alice/served"
#: Of one answer or one way to send it only: its moment, what is drawn by lot, what concerns the connection.
OWN = re.compile(rb"(?im)^(set-cookie|expires|x-request-id|connection|transfer-encoding):.*\r\n")
DRAWN = re.compile(
    rb'(csrfmiddlewaretoken" value="|csrf-token" content="|"X-CSRFToken":\s*"|visit=)[A-Za-z0-9:%._-]+'
)
FILE = f"/spaces/{SPACE}/resolve/main/d.txt"
GATE = "/run/alice/served/gradio_api"


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{line} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def posted(path: str, body: bytes, *headers: str) -> bytes:
    return request(f"POST {path}", f"Content-Length: {len(body)}", *headers, body=body)


REQUESTS = {
    "a page": request("GET /login"),
    "a page's head": request("HEAD /login"),
    "HTTP 1.0": b"GET /login HTTP/1.0\r\nHost: localhost\r\n\r\n",
    "no such page": request("GET /alice/no-such/thing"),
    "a redirect": request("GET /dashboard"),
    "a static file": request("GET /static/spaceport/theme.js"),
    "a static file's head": request("HEAD /static/spaceport/theme.js"),
    "a part of a static file": request("GET /static/spaceport/theme.js", "Range: bytes=3-9"),
    "beyond a static file": request("GET /static/spaceport/theme.js", "Range: bytes=9000000-"),
    "a file": request(f"GET {FILE}"),
    "a file's head": request(f"HEAD {FILE}"),
    "a part of a file": request(f"GET {FILE}", "Range: bytes=2-4"),
    "beyond a file": request(f"GET {FILE}", "Range: bytes=10-"),
    "what the API lists": request(f"GET /api/spaces/{SPACE}"),
    "a form without its token": posted(
        "/login", b"username=a&password=b", "Content-Type: application/x-www-form-urlencoded"
    ),
    "a body in chunks": request(
        "POST /api/repos/create", "Transfer-Encoding: chunked", "Content-Type: application/json",
        body=b'5\r\n{"nam\r\n9;x=y\r\ne": "ab"}\r\n0\r\n\r\n',
    ),
    "no such method": request("DELETE /login"),
    "what may be asked": request("OPTIONS /login"),
    "an escaped path": request("GET /alice/%73erved"),
    "an escaped slash": request("GET /alice%2fserved"),
    "two slashes": request("GET //evil/served"),
    "up and away": request("GET /run/alice/served/../../login"),
    "up, escaped": request("GET /run/alice/served/%2e%2e/x"),
    "a NUL": request("GET /run/alice/served/%00"),
    "a broken escape": request("GET /alice/%zz"),
    "a query": request("GET /login?next=/a%20b&x=%ff"),
    "another host": b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    "a wish for HTTP/2": b"GET /login HTTP/1.1\r\nHost: localhost\r\n"
    b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
    "a host by underscore": request("GET /login", "X_Forwarded_Host: evil"),
    "a header twice": request("GET /login", "Accept: text/html", "Accept: application/json"),
    "a join of no Space that runs": posted(f"{GATE}/queue/join", b"{}", "Content-Type: application/json"),
    "a body that is no JSON": posted(f"{GATE}/queue/join", b"{", "Content-Type: application/json"),
    "a demo's host without a demo": b"GET / HTTP/1.1\r\nHost: no-such.localhost\r\nConnection: close\r\n\r\n",
    "a door without a Space": request("GET /run/nobody/nothing/config"),
    "an upload over the limit": posted(
        f"/api/spaces/{SPACE}/preupload/main", b"x" * 11_000_000, "Authorization: Bearer TOKEN"
    ),
    "a body that is not read": posted("/static/spaceport/theme.js", b"x" * 3_000_000),
}  # fmt: skip
REFUSED = {
    "a whole address": request("GET http://evil/login"),
    "a path beyond ASCII": request("GET /\xe4"),
    "a query beyond ASCII": request("GET /login?\xe4"),
    "a long header": request("GET /login", f"X: {'a' * 17_000}"),
    "no request": b"hello\r\n\r\n",
    "a space before a colon": request("GET /login", "X : y"),
    "two lengths": request("POST /login", "Content-Length: 3", "Content-Length: 4", body=b"abcd"),
    "a length and chunks": request(
        "POST /login", "Content-Length: 3", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"
    ),
}


@pytest.fixture(scope="module")
def answers() -> Iterator[dict[str, dict[str, bytes]]]:
    """By server, what was answered to each."""
    home = new_home()
    hub = Hub(home, web_server="daphne")
    try:
        hub.start()
        hub.api("alice").create_repo(SPACE, repo_type="space", space_sdk="gradio")
        hub.api("alice").upload_file(
            path_or_fileobj=b"0123456789", path_in_repo="d.txt", repo_id=SPACE, repo_type="space"
        )
        found = {}
        for server in ("daphne", "uvicorn"):
            hub.end()
            hub.web_server = server
            hub.serve()
            found[server] = {name: ask(hub, raw) for name, raw in (REQUESTS | REFUSED).items()}
            assert "xception in" not in hub.log(), (
                hub.log()
            )  # the words of both for what the application left
        yield found
    finally:
        hub.stop()
        shutil.rmtree(home, ignore_errors=True)


def ask(hub: Hub, raw: bytes) -> bytes:
    """All that is answered to these bytes."""
    answer = b""
    with socket.create_connection(("127.0.0.1", hub.port), 60) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(raw.replace(b"TOKEN", hub.tokens["alice"].encode()))
        with contextlib.suppress(ConnectionError):
            while chunk := connection.recv(65536):
                answer += chunk
    return answer


def told(answer: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Its status, its headers, its body: what must be the same."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
        body = unchunked(body)
    first, _, headers = (head + b"\r\n").partition(b"\r\n")
    lines = [line.partition(b":") for line in OWN.sub(b"", headers).splitlines()]
    return (
        first.split(b" ")[1],
        sorted(name.lower() + b":" + value for name, _, value in lines),
        DRAWN.sub(b"", body),
    )


def unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        whole += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
    return whole


@pytest.mark.parametrize("name", REQUESTS)
def test_both_give_the_same_answer(answers: dict[str, dict[str, bytes]], name: str) -> None:
    daphne, uvicorn = told(answers["daphne"][name]), told(answers["uvicorn"][name])
    assert daphne == uvicorn


@pytest.mark.parametrize("name", REFUSED)
def test_neither_lets_it_pass(answers: dict[str, dict[str, bytes]], name: str) -> None:
    for server in ("daphne", "uvicorn"):
        first = answers[server][name].partition(b"\r\n")[0]
        # Daphne may hang up before it has read all, and its answer is lost then.
        assert first in (b"HTTP/1.1 400 Bad Request", b"HTTP/1.1 404 Not Found", b""), (server, first)
    assert answers["uvicorn"][name]
