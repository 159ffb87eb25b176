"""Odd requests over the wire: plain 400s, at Django's doors, at the gateway's and at the websocket."""

from __future__ import annotations

import re
import socket

import pytest
import requests

from tests.hub_server import Hub
from tests.spaces.standin import Standin, serve


def status_of(hub: Hub, *lines: str) -> int:
    """The status of a request written by hand."""
    with socket.create_connection(("127.0.0.1", hub.port), timeout=30) as peer:
        peer.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1"))
        with peer.makefile("rb") as answer:
            found = re.match(rb"HTTP/1\.\d (\d{3})", answer.readline())
    assert found
    return int(found[1])


@pytest.mark.parametrize("path", ["/", "/run/{space}/x", "/api/spaces", "/login", "/no/such"])
def test_every_door_refuses_them(hub: Hub, space: str, standin: Standin, path: str) -> None:
    serve(hub, space, standin)
    get = f"GET {path.format(space=space)} HTTP/1.1"
    host = f"Host: localhost:{hub.port}"
    assert status_of(hub, get, host) in {200, 404}
    assert status_of(hub, get) == 400
    assert status_of(hub, get, host, host) == 400
    assert status_of(hub, get, "Host: evil.example") == 400
    assert status_of(hub, get, host, "Authorization: Bearer  hf_x") == 400
    assert status_of(hub, get, host, "Authorization: Bearer \xff") == 400
    assert status_of(hub, get, host, "Authorization: Bearer a", "Authorization: Bearer b") == 400


@pytest.mark.parametrize(
    "path",
    [
        "/%00/x", "/x/%00", "/run/%00/x/", "/api/spaces/a/%00", "/?q=%00", "/enter?space=%00",
        "/api/spaces/a/b/revision/c%00d", "/spaces/a/b/resolve/main/c%00d",
    ],
)  # fmt: skip
def test_zero_bytes_are_no_error_of_ours(hub: Hub, path: str) -> None:
    assert status_of(hub, f"GET {path} HTTP/1.1", f"Host: localhost:{hub.port}") == 400


def test_a_websocket_has_one_host_that_is_ours(hub: Hub, space: str) -> None:
    get = f"GET /ws/spaces/{space}/queue HTTP/1.1"
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
               "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")  # fmt: skip
    assert status_of(hub, get, f"Host: 127.0.0.1:{hub.port}", *upgrade) == 101
    assert status_of(hub, get, "Host: evil.example", "Origin: http://evil.example", *upgrade) in {400, 403}


def test_a_host_of_more_labels_is_nobodys(hub: Hub, space: str, standin: Standin) -> None:
    route = serve(hub, space, standin)
    demo = f"{route.subdomain}.localhost:{hub.port}"
    for host, status in ((demo, 200), (f"x.{demo}", 404), (f"{route.subdomain}.x.localhost", 404)):
        assert requests.get(f"{hub.url}/x", headers={"Host": host}, timeout=30).status_code == status, host
