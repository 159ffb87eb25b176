"""Xet and those who mean harm: nothing is stored but what a SHA-256 says, pieces have the protocol's bounds,
and an upload is of one Space and of who may write there."""

from __future__ import annotations

import json
import os
import socket
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import pytest
import requests

from spaces.lfs.addresses import UPLOAD_S, NotGood
from spaces.lfs.store import Refused
from spaces.xet import sessions
from spaces.xet.xorbs import Xorb
from tests.hub_server import LARGE_LIMIT, Hub
from tests.spaces.lfs import oid_of, on_the_way, path_of, stored
from tests.spaces.xet import LZ4, NAME, Sender, Shard, grouped, packed, piece, plain, shard_of
from tests.waiting import wait_until

CONTENT = b"some content, " * 5001  # 70,014 bytes: four is no divisor


@pytest.fixture
def sender(hub: Hub, space: str) -> Sender:
    return Sender.to(hub, space)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_file_of_pieces_of_every_kind(hub: Hub, space: str, sender: Sender, version: str) -> None:
    parts = [os.urandom(1001), CONTENT, CONTENT[:-1], CONTENT[:-2], b"x"]
    xorb = plain(parts[0]) + packed(parts[1]) + grouped(parts[2]) + grouped(parts[3]) + grouped(parts[4])
    assert sender.xorb(xorb + b"XETBLOB and what else").json() == {"was_inserted": True}
    answer = sender.post(f"/{version}/shards", bytes(shard_of(*parts)))
    assert answer.status_code == 200
    assert answer.json() == ({"result": 1} if version == "v1" else {"type": "result"})
    assert oid_of(b"".join(parts)) in stored(hub)
    assert on_the_way(hub, space) == []


def test_xorbs_stay_for_the_shard_that_is_still_to_come(hub: Hub, space: str, sender: Sender) -> None:
    other = NAME[::-1]
    for name, content in ((NAME, b"one"), (other, b"two")):
        assert sender.xorb(plain(content), name).status_code == 200
    assert sender.shard(shard_of(b"one")).status_code == 200
    assert len(on_the_way(hub, space)) == 2
    assert sender.shard(Shard(oid_of(b"two"), 3, xorb=other)).status_code == 200
    assert {oid_of(b"one"), oid_of(b"two")} <= stored(hub)


BAD_XORBS = {
    "empty": b"",
    "ends in a head": plain(CONTENT) + b"\0\0\0",
    "ends in a piece": plain(CONTENT)[:-1],
    "a kind that is not known": piece(CONTENT, len(CONTENT), 3),
    "a version that is not known": piece(CONTENT, len(CONTENT), version=1),
    "a piece of nothing": piece(b"x", 0),
    "a piece without bytes": piece(b"", 1),
    "too long a piece": piece(b"x", 128 * 1024 + 1, LZ4),
    "too many pieces": piece(b"x", 1) * (8 * 1024 + 1),
    "too much in its pieces": piece(b"x", 128 * 1024, LZ4) * 513,
    "a footer alone": b"XETBLOB",
    "a long footer": plain(b"x") + b"XETBLOB" + bytes(1024 * 1024),
}


@pytest.mark.parametrize("kind", BAD_XORBS)
def test_what_is_no_xorb_is_refused_and_leaves_nothing(
    hub: Hub, space: str, sender: Sender, kind: str
) -> None:
    answer = sender.xorb(BAD_XORBS[kind])
    assert answer.status_code in {400, 413}
    assert answer.json()["message"]
    assert on_the_way(hub, space) == []


def test_names_and_lengths_of_xorbs(hub: Hub, space: str, sender: Sender) -> None:
    for name in ("x" * 64, NAME[:-1], "..%2F" + NAME, NAME.upper()):
        assert sender.xorb(plain(b"x"), name).status_code in {400, 404}, name
    assert sender.xorb(bytes(66 * 1024 * 1024)).status_code == 413
    assert on_the_way(hub, space) == []


BOMB = piece(lz4.frame.compress(bytes(50_000_000)), 1000, LZ4)
BAD_FILES: dict[str, tuple[bytes, Shard | bytes, str]] = {
    "wrong hash": (plain(CONTENT), Shard(oid_of(b"other"), len(CONTENT)), "has the SHA-256"),
    "too short": (plain(CONTENT), Shard(oid_of(CONTENT), len(CONTENT) + 1), "were announced"),
    "too long": (plain(CONTENT), Shard(oid_of(CONTENT), len(CONTENT) - 1), "announced"),
    "no such xorb": (plain(CONTENT), Shard(oid_of(CONTENT), len(CONTENT), xorb=NAME[::-1]), "send it first"),
    "no such piece": (plain(CONTENT), Shard(oid_of(CONTENT), len(CONTENT), end=2), "has no pieces"),
    "pieces backwards": (plain(CONTENT), Shard(oid_of(CONTENT), len(CONTENT), first=1), "has no pieces"),
    "last piece": (
        plain(CONTENT),
        Shard(oid_of(CONTENT), 9, first=2**32 - 1, end=2**32 - 1),
        "has no pieces",
    ),
    "no hash": (plain(CONTENT), Shard(oid_of(CONTENT), len(CONTENT), flags=0), "no SHA-256"),
    "endless terms": (plain(CONTENT), Shard(oid_of(CONTENT), len(CONTENT), count=2**32 - 1), "too early"),
    "checks that are none": (plain(CONTENT), Shard(oid_of(CONTENT), 1, flags=3 << 30), "announced"),
    "cut off": (plain(CONTENT), bytes(shard_of(CONTENT))[:150], "too early"),
    "no shard": (plain(CONTENT), b"x" * 500, "no shard"),
    "too large": (plain(CONTENT), Shard(oid_of(CONTENT), LARGE_LIMIT + 1), "at most 300,000,000"),
    "a bomb": (BOMB, Shard(oid_of(CONTENT), 1000), "not as long"),
    "not compressed": (piece(CONTENT, 9, LZ4), Shard(oid_of(CONTENT), 9), "cannot be decompressed"),
    "cut compression": (packed(CONTENT)[:-50], Shard(oid_of(CONTENT), len(CONTENT)), ""),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_what_is_not_as_announced_is_refused_and_leaves_nothing(
    hub: Hub, space: str, sender: Sender, kind: str
) -> None:
    xorb, shard, words = BAD_FILES[kind]
    before = stored(hub)
    if not words:
        xorb = piece(xorb[8:], len(CONTENT), LZ4)
    assert sender.xorb(xorb).status_code == 200
    answer = sender.shard(shard)
    assert answer.status_code in {400, 413, 422}
    assert words in answer.json()["message"]
    assert stored(hub) == before
    assert on_the_way(hub, space) == []


def test_a_bomb_is_not_decompressed_beyond_its_announced_length(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(BOMB)
    tracemalloc.start()
    with Xorb(tmp_path / NAME) as xorb, pytest.raises(Refused, match="not as long"):
        list(xorb.pieces(0, 1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_the_second_form_tells_errors_in_its_last_line(sender: Sender) -> None:
    sender.xorb(plain(CONTENT))
    answer = sender.post("/v2/shards", bytes(Shard(oid_of(b"other"), len(CONTENT))))
    said = json.loads(answer.text.splitlines()[-1])
    assert (answer.status_code, said["type"], said["retryable"]) == (200, "error", False)
    assert "has the SHA-256" in said["message"]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_file_is_not_made_for_who_has_gone(hub: Hub, space: str, sender: Sender, version: str) -> None:
    part, times = bytes([ord(version[1])]) * (128 * 1024), LARGE_LIMIT // (128 * 1024)
    oid = oid_of(part * times)
    assert sender.xorb(packed(part)).status_code == 200
    body = bytes(Shard(oid, len(part), count=times, times=times))
    head = f"POST {path_of(sender.url)}/{version}/shards HTTP/1.1\r\nHost: localhost\r\n"
    head += f"Authorization: Bearer {sender.token}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", hub.port), 30) as connection:
        connection.sendall(head.encode() + body)
        wait_until(lambda: len(on_the_way(hub, space)) == 2, "it is being made")
    wait_until(lambda: len(on_the_way(hub, space)) == 1, "its xorb alone is left")
    assert oid not in stored(hub)


def test_a_token_is_of_who_may_write(hub: Hub, space: str, new_space: Callable[..., str]) -> None:
    private = new_space(private=True)
    for who, where, status in (
        ("bob", space, 403), ("alice_read", space, 403), ("", space, 401), ("bob", private, 404),
    ):  # fmt: skip
        assert hub.call("GET", f"/api/spaces/{where}/xet-write-token/main", who).status_code == status
    asked = hub.call("GET", f"/api/spaces/{space}/xet-write-token/main?create_pr=1", "alice")
    assert asked.status_code == 403


def test_an_upload_takes_its_own_spaces_tokens_alone(
    hub: Hub, space: str, sender: Sender, new_space: Callable[..., str]
) -> None:
    foreign = Sender.to(hub, new_space("bob"), "bob")
    given = sender.token
    for token in (foreign.token, "none", given + "x", hub.tokens["alice"], sender.url.rpartition("/")[2]):
        sender.token = token
        assert sender.xorb(plain(CONTENT)).status_code == 401, token
        assert sender.shard(shard_of(CONTENT)).status_code == 401, token
    sender.token, sender.url = given, sender.url + "x"
    assert sender.xorb(plain(CONTENT)).status_code == 401
    assert requests.post(f"{hub.url}/_xet/", timeout=10).status_code == 401
    assert on_the_way(hub, space) == []


def test_one_upload_does_not_see_the_xorbs_of_another(hub: Hub, space: str, sender: Sender) -> None:
    assert sender.xorb(plain(CONTENT)).status_code == 200
    assert "send it first" in Sender.to(hub, space).shard(shard_of(CONTENT)).json()["message"]


def test_addresses_and_tokens_are_not_logged_and_end(
    hub: Hub, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.xorb(plain(CONTENT))
    assert sender.url.rpartition("/")[2] not in hub.log()
    assert sender.token not in hub.log()
    now = time.time()
    session, (given, _) = sessions.begin(7), sessions.token(7)
    path = sessions.address(session)
    assert sessions.read(f"{path}/v1/shards") == (session, "v1/shards")
    sessions.check_token(session, f"Bearer {given}")
    assert sessions.largest_body(f"{path}/v1/shards") == sessions.SHARD_BYTES
    assert sessions.largest_body(f"{path}/v1/xorbs/default/x") == sessions.XORB_BYTES
    assert sessions.largest_body(f"{path}x/v1/shards") == sessions.largest_body(f"{path}/v1/else") == 0
    monkeypatch.setattr(time, "time", lambda: now + sessions.TOKEN_S + 1)
    with pytest.raises(NotGood, match="ended"):
        sessions.check_token(session, f"Bearer {given}")
    assert sessions.largest_body(f"{path}/v1/shards")
    monkeypatch.setattr(time, "time", lambda: now + UPLOAD_S + 1)
    assert sessions.largest_body(f"{path}/v1/shards") == 0


def test_nothing_is_read_there(sender: Sender) -> None:
    sender.xorb(plain(CONTENT))
    headers = {"Authorization": f"Bearer {sender.token}"}
    for path in (
        f"/v1/xorbs/default/{NAME}",
        f"/v1/chunks/default/{NAME}",
        f"/v1/reconstructions/{NAME}",
        "",
    ):
        assert requests.get(sender.url + path, headers=headers, timeout=10).status_code == 404, path
    assert sender.post("/v1/telemetry", b"{}").status_code == 404
