"""Large files and those who mean harm: what is sent is what was announced, an address is good for one thing,
and a hash gives access to nothing."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.hub_server import LARGE_LIMIT, Hub
from tests.spaces.lfs import actions, batch, id_of, oid_of, on_the_way, path_of, point, send, stored
from tests.waiting import wait_until

pytestmark = pytest.mark.long

MANY = 3_000_000  # bytes: more than an ordinary body may have


@pytest.fixture
def content() -> bytes:
    return os.urandom(MANY)


def put(address: str, content: bytes) -> requests.Response:
    return requests.put(address, data=content, timeout=30)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (lambda content: content[:-1] + b"\0", "has the SHA-256"),
        (lambda content: content[:-1], "2,999,999 bytes came"),
    ],
)
def test_what_is_not_as_announced_is_refused_and_leaves_nothing(
    hub: Hub, space: str, content: bytes, sent: Callable[[bytes], bytes], words: str
) -> None:
    found = actions(hub, space, "alice", content)
    answer = put(found["upload"]["href"], sent(content))
    assert answer.status_code == 422
    assert words in answer.json()["message"]
    assert words in answer.headers["X-Error-Message"]
    assert oid_of(content) not in stored(hub)
    assert on_the_way(hub, space) == []
    verified = hub.call("POST", path_of(found["verify"]["href"]), "alice", json={})
    assert verified.status_code == 404
    assert point(hub, space, "alice", "a.bin", oid_of(content), MANY).status_code == 400


def test_a_body_beyond_its_announced_length_is_not_taken(hub: Hub, space: str, content: bytes) -> None:
    address = actions(hub, space, "alice", content)["upload"]["href"]
    assert put(address, content + b"more").status_code == 413

    def endless() -> object:
        while True:
            yield b"\0" * 65536

    with contextlib.suppress(requests.ConnectionError):  # it was cut off while it sent
        assert requests.put(address, data=endless(), timeout=30).status_code == 413  # type: ignore[arg-type]
    assert on_the_way(hub, space) == []


def test_a_sender_that_leaves_in_the_middle_leaves_nothing(hub: Hub, space: str, content: bytes) -> None:
    path = path_of(actions(hub, space, "alice", content)["upload"]["href"])
    with socket.create_connection(("127.0.0.1", hub.port)) as sender:
        head = f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{hub.port}\r\nContent-Length: {MANY}\r\n\r\n"
        sender.sendall(head.encode() + content[: MANY // 2])
    wait_until(lambda: on_the_way(hub, space) == [], "the spool is empty")
    assert oid_of(content) not in stored(hub)


@pytest.mark.parametrize(
    "oid", ["../../../../etc/passwd", "a/../b", "A" * 64, "0" * 63, "0" * 64 + "\n", "%2e%2e%2f", ""]
)
def test_an_id_that_is_no_hash_is_refused(hub: Hub, space: str, oid: str) -> None:
    for operation in ("upload", "download"):
        (one,) = batch(hub, space, "alice", (oid, 5), operation=operation).json()["objects"]
        assert one["error"]["code"] == 422
        assert "actions" not in one
    assert point(hub, space, "alice", "a.bin", oid, 5).status_code in {400, 422}


def test_sizes_that_no_file_has_are_refused(hub: Hub, space: str, content: bytes) -> None:
    oid = oid_of(content)
    for size, code in ((-1, 422), (LARGE_LIMIT + 1, 413), (10**14, 413)):
        (one,) = batch(hub, space, "alice", (oid, size)).json()["objects"]
        assert one["error"]["code"] == code, size
    send(hub, space, "alice", content)
    (one,) = batch(hub, space, "alice", (oid, MANY - 1)).json()["objects"]
    assert one["error"]["code"] == 422
    odd: tuple[Any, ...] = (MANY - 1, -1, True, "3", 2.5, 10**30)
    for size in odd:
        assert point(hub, space, "alice", "a.bin", oid, size).status_code == 400, size


def test_an_address_is_good_for_what_it_was_given_for(hub: Hub, space: str, content: bytes) -> None:
    found = actions(hub, space, "alice", content)
    upload, verify = found["upload"]["href"], found["verify"]["href"]
    where, _, signed = upload.rpartition("/")
    altered = [f"{where}/{signed[:-1]}{'A' if signed[-1] != 'A' else 'B'}", f"{where}/", f"{where}/x:y"]
    altered.append(f"{where}/{signed.partition(':')[0]}:{verify.rpartition(':')[2]}")
    for address in altered:
        answer = put(address, b"x")
        assert (answer.status_code, "not one that was given" in answer.json()["message"]) == (403, True)
        assert put(address, content).status_code == 413  # not even taken
    for method, address in (("GET", upload), ("POST", upload), ("PUT", verify), ("DELETE", upload)):
        assert requests.request(method, address, timeout=30).status_code == 405
    assert put(upload, content).status_code == 200


def test_an_address_ends(hub: Hub, space: str, content: bytes) -> None:
    space_id = id_of(hub, space)
    path = hub.python(
        "import django; django.setup()\n"
        "from spaces.lfs.addresses import Grant, address\n"
        f"print(address(Grant('put', {space_id}, {oid_of(content)!r}, {MANY}, 1)))"
    ).strip()
    answer = put(f"{hub.url}{path}", b"x")
    assert (answer.status_code, "has ended" in answer.json()["message"]) == (403, True)


def test_a_guessed_hash_gives_access_to_nothing(
    hub: Hub, new_space: Callable[..., str], content: bytes
) -> None:
    hidden = new_space("alice", visibility="private")
    send(hub, hidden, "alice", content)
    assert point(hub, hidden, "alice", "a.bin", oid_of(content), MANY).status_code == 200
    own = new_space("charlie")
    oid = oid_of(content)
    assert point(hub, own, "charlie", "a.bin", oid, MANY).status_code == 400
    (one,) = batch(hub, own, "charlie", (oid, MANY), operation="download").json()["objects"]
    assert one["error"]["code"] == 404
    # As an ordinary file it would be a pointer all the same.
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {MANY}\n"
    with pytest.raises(Exception, match="is not here"):
        hub.api("charlie").upload_file(
            path_or_fileobj=pointer.encode(), path_in_repo="a.bin", repo_id=own, repo_type="space"
        )
    # Who has the content may send it, and learns nothing.
    assert "upload" in actions(hub, own, "charlie", content)
    assert batch(hub, hidden, "charlie", (oid, MANY), operation="download").status_code == 404
    assert batch(hub, hidden, "", (oid, MANY), operation="download").status_code == 401


def test_a_token_for_one_space_reaches_no_file_of_another(
    hub: Hub, new_space: Callable[..., str], content: bytes
) -> None:
    hidden, own = new_space("alice", visibility="private"), new_space("alice")
    send(hub, hidden, "alice", content)
    hub.tokens["alone"] = hub.python(
        "import django; django.setup()\n"
        "from accounts import tokens\nfrom accounts.models import User\n"
        "alice = User.objects.get(username='alice')\n"
        f"print(tokens.issue(alice, 'ci', space_id={id_of(hub, own)})[1])"
    ).strip()
    assert "upload" in actions(hub, own, "alone", content)
    assert point(hub, own, "alone", "a.bin", oid_of(content), MANY).status_code == 400
    assert actions(hub, own, "alice", content) == {}


def test_who_may_read_another_space_need_not_send_its_files(
    hub: Hub, new_space: Callable[..., str], content: bytes
) -> None:
    send(hub, new_space("alice"), "alice", content)
    own = new_space("charlie")
    assert actions(hub, own, "charlie", content) == {}
    assert point(hub, own, "charlie", "a.bin", oid_of(content), MANY).status_code == 200
    assert hub.call("GET", f"/spaces/{own}/resolve/main/a.bin").content == content


def test_the_questions_of_no_client_are_refused(hub: Hub, space: str) -> None:
    for more, status in (
        ({"operation": "delete"}, 422),
        ({"hash_algo": "md5"}, 409),
        ({"objects": [{"oid": "0" * 64, "size": 1}] * 1001}, 413),
        ({"objects": "x"}, 400),
    ):
        answer = batch(hub, space, "alice", **more)
        assert answer.status_code == status
        assert answer.json()["message"]
        assert answer.headers["Content-Type"] == "application/vnd.git-lfs+json"
    assert batch(hub, space, "alice_read", ("0" * 64, 1)).status_code == 403
    unknown = batch(hub, space, "", ("0" * 64, 1))
    assert unknown.status_code == 401
    assert unknown.headers["LFS-Authenticate"].startswith("Basic ")


def test_signed_addresses_do_not_reach_the_log(hub: Hub, space: str, content: bytes) -> None:
    found = actions(hub, space, "alice", content)
    assert put(found["upload"]["href"], content).status_code == 200
    requests.put(found["verify"]["href"], data=b"x" * 100, timeout=30)
    for action in ("upload", "verify"):
        assert found[action]["href"].rpartition("/")[2] not in hub.log()
