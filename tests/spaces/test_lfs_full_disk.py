"""A disk that has no room for large files: nothing of them is taken, and whoever sends one is told."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from huggingface_hub.errors import HfHubHTTPError

from tests.hub_server import UPLOAD_LIMIT, Hub
from tests.platform_server import new_home
from tests.spaces.lfs import MEGABYTE, batch, id_of, oid_of, on_the_way, random_file
from tests.spaces.xet import Sender, plain

pytestmark = pytest.mark.long

SPACE = "alice/full"
WORDS = "The disk of this platform has no room for"


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    home = new_home()
    server = Hub(home, settings={"SPACEPORT_LFS_FREE_BYTES": str(10**18)})
    try:
        server.start().api("alice").create_repo(SPACE, repo_type="space", space_sdk="gradio")
        yield server
        assert "Traceback" not in server.log(), server.log()
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def test_the_official_client_is_told(hub: Hub, tmp_path: Path) -> None:
    file = random_file(tmp_path / "big.bin", UPLOAD_LIMIT + 1)
    with pytest.raises(HfHubHTTPError, match=f"{WORDS} {UPLOAD_LIMIT + 1:,} more bytes: it has 0"):
        hub.api("alice").upload_file(
            path_or_fileobj=file, path_in_repo="big.bin", repo_id=SPACE, repo_type="space"
        )
    (one,) = batch(hub, SPACE, "alice", (oid_of(b"x"), 1)).json()["objects"]
    assert one["error"]["code"] == 507


@pytest.mark.parametrize("size", [5, 100 * MEGABYTE])
def test_an_address_from_before_takes_nothing(hub: Hub, size: int) -> None:
    content = os.urandom(size)
    path = hub.python(
        "import django; django.setup()\n"
        "from spaces.lfs.addresses import address, grant\n"
        f"print(address(grant('put', {id_of(hub, SPACE)}, {oid_of(content)!r}, {size})))"
    ).strip()
    answer = requests.put(f"{hub.url}{path}", data=content, timeout=60)
    assert answer.status_code == 507
    assert WORDS in answer.headers["X-Error-Message"]
    assert on_the_way(hub, SPACE) == []


def test_nothing_comes_by_xet(hub: Hub) -> None:
    sender = Sender.to(hub, SPACE)
    assert WORDS in sender.xorb(plain(b"x")).json()["message"]
    assert sender.xorb(plain(b"x")).status_code == 507
    assert on_the_way(hub, SPACE) == []


def test_an_ordinary_file_still_arrives(hub: Hub) -> None:
    hub.api("alice").upload_file(
        path_or_fileobj=b"small", path_in_repo="a.txt", repo_id=SPACE, repo_type="space"
    )
    assert hub.call("GET", f"/spaces/{SPACE}/resolve/main/a.txt").content == b"small"
