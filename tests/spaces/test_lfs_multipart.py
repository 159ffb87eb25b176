"""Large files in parts: what arrived stays, what broke is sent again, and only the whole becomes a file."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from huggingface_hub import constants

from spaces.lfs.multipart import FROM_BYTES, PART_BYTES
from tests.hub_server import Hub
from tests.spaces.lfs import MEGABYTE, batch, oid_of, on_the_way, point, random_file, stored
from tests.spaces.test_lfs_hub_client import digest
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),  # the client's own
]
SIZE = FROM_BYTES + 5
PARTS = [slice(0, PART_BYTES), slice(PART_BYTES, 2 * PART_BYTES), slice(2 * PART_BYTES, SIZE)]


@pytest.fixture(scope="module")
def random_content() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def content(random_content: bytes) -> bytes:
    """Unlike any other test's."""
    return os.urandom(64) + random_content[64:]


class Sender:
    """Somebody who speaks the protocol by hand."""

    def __init__(self, hub: Hub, space: str, content: bytes) -> None:
        answer = batch(hub, space, "alice", (oid_of(content), len(content)), transfers=["basic", "multipart"])
        assert answer.json()["transfer"] == "multipart"
        self.upload: dict[str, Any] = answer.json()["objects"][0]["actions"]["upload"]
        self.content, self.tags = content, dict[int, str]()

    def put(self, part: int, content: bytes | None = None) -> requests.Response:
        body = self.content[PARTS[part - 1]] if content is None else content
        answer = requests.put(self.upload["header"][str(part)], data=body, timeout=60)
        self.tags[part] = answer.headers.get("ETag", "")
        return answer

    def head(self, part: int) -> requests.Response:
        return requests.head(self.upload["header"][str(part)], timeout=30)

    def complete(self, **more: Any) -> requests.Response:
        parts = [{"partNumber": part, "etag": tag} for part, tag in self.tags.items()]
        said = {"oid": oid_of(self.content), "parts": parts} | more
        return requests.post(self.upload["href"], json=said, timeout=60)


@pytest.fixture
def sender(hub: Hub, space: str, content: bytes) -> Sender:
    return Sender(hub, space, content)


def test_who_goes_on_sends_only_what_is_not_there(hub: Hub, space: str, sender: Sender) -> None:
    for part in (1, 3):
        assert sender.put(part).status_code == 200
    hub.end()
    hub.serve()
    again = Sender(hub, space, sender.content)
    heads = {part: again.head(part) for part in (1, 2, 3)}
    assert {part: head.status_code for part, head in heads.items()} == {1: 200, 2: 404, 3: 200}
    again.tags = {part: head.headers.get("ETag", "") for part, head in heads.items()}
    early = again.complete()
    assert (early.status_code, "Part 2 of 3" in early.json()["message"]) == (409, True)
    assert again.put(2).status_code == 200
    assert again.complete().status_code == 200
    assert again.complete().status_code == 200  # its answer may have been lost
    assert on_the_way(hub, space) == []
    assert point(hub, space, "alice", "a.bin", oid_of(sender.content), SIZE).status_code == 200
    assert hub.call("GET", f"/spaces/{space}/resolve/main/a.bin").content == sender.content


def test_a_part_that_broke_off_is_not_taken_for_one(hub: Hub, sender: Sender) -> None:
    short = sender.put(1, sender.content[: 3 * MEGABYTE])
    assert (short.status_code, "send it again" in short.json()["message"]) == (422, True)
    assert sender.head(1).status_code == 404
    assert sender.put(3, b"more than five").status_code in {413, 422}
    assert sender.head(3).status_code == 404


def test_parts_that_make_another_file_are_thrown_away(hub: Hub, space: str, sender: Sender) -> None:
    for part in (1, 2):
        assert sender.put(part).status_code == 200
    assert sender.put(3, b"wrong").status_code == 200
    answer = sender.complete()
    assert (answer.status_code, "SHA-256" in answer.json()["message"]) == (422, True)
    assert oid_of(sender.content) not in stored(hub)
    assert on_the_way(hub, space) == []
    for part in (1, 2, 3):
        assert sender.put(part).status_code == 200
    assert sender.complete().status_code == 200


@pytest.mark.parametrize(
    "more",
    [
        {"parts": "x"}, {"parts": [{"partNumber": 1}]}, {"parts": []},
        {"parts": [{"partNumber": -1, "etag": ""}]},
        {"parts": [{"partNumber": n, "etag": "other"} for n in (1, 2, 3)]},
    ],
)  # fmt: skip
def test_a_completion_that_names_other_parts_is_refused(sender: Sender, more: dict[str, Any]) -> None:
    sender.put(3)
    answer = sender.complete(**more)
    assert answer.status_code in {400, 409}
    assert answer.json()["message"]


def test_the_official_client_goes_on_when_the_web_process_was_killed(
    hub: Hub, space: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    file = random_file(tmp_path / "model.bin", 6 * PART_BYTES)

    def notes() -> set[str]:
        return {name for name in on_the_way(hub, space) if "." in name}

    upload = threading.Thread(
        target=hub.api("alice").upload_file,
        kwargs={
            "path_or_fileobj": file, "path_in_repo": "model.bin", "repo_id": space, "repo_type": "space",
        },
    )  # fmt: skip
    upload.start()
    wait_until(lambda: len(notes()) >= 2, "two parts are there", timeout_s=60)
    hub.end()
    spool = hub.home / "lfs" / "spool"
    there = {name: (spool / name).stat().st_ino for name in notes()}
    (data,) = {name for name in on_the_way(hub, space) if "." not in name}
    inode = (spool / data).stat().st_ino
    hub.serve()
    wait_until(lambda: len(notes()) > len(there) or not notes(), "it goes on", timeout_s=60)
    assert {name: (spool / name).stat().st_ino for name in notes() if name in there} in ({}, there)
    upload.join(120)
    assert (hub.home / "lfs" / "objects").exists()
    found = next((hub.home / "lfs" / "objects").rglob(digest(file)))
    assert found.stat().st_ino == inode
    url = f"/spaces/{space}/resolve/main/model.bin"
    assert hub.call("HEAD", url).headers["X-Linked-Size"] == str(6 * PART_BYTES)
