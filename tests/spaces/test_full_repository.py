"""A repository has an end, the same for `hf upload` and for `git push`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from huggingface_hub.errors import HfHubHTTPError

from tests.hub_server import UPLOAD_LIMIT, Hub
from tests.spaces.conftest import REPOSITORY_LIMIT

pytestmark = pytest.mark.long

FULL = f"at most {REPOSITORY_LIMIT:,} are kept of a Space"
LARGE = UPLOAD_LIMIT - 100_000


def upload(hub: Hub, space: str, name: str, content: bytes) -> None:
    hub.api("alice").upload_file(path_or_fileobj=content, path_in_repo=name, repo_id=space, repo_type="space")


def size(hub: Hub, space: str) -> int:
    [(space_id,)] = hub.sql(
        "select s.id from spaces_space s join accounts_owner o on o.id = s.owner_id "
        "where o.name = %s and s.name = %s",
        *space.split("/"),
    )
    folder = hub.home / "repositories" / f"{space_id}.git" / "objects"
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_a_full_repository_takes_nothing_more_by_any_door(hub: Hub, space: str, tmp_path: Path) -> None:
    last = os.urandom(LARGE)
    for n in range(REPOSITORY_LIMIT // LARGE - 1):
        upload(hub, space, f"{n}.bin", os.urandom(LARGE))
    upload(hub, space, "last.bin", last)
    before = size(hub, space)
    for _ in range(2):
        with pytest.raises(HfHubHTTPError) as refused:
            upload(hub, space, "more.bin", os.urandom(LARGE))
        assert refused.value.response.status_code == 413
        assert FULL in str(refused.value)
    assert size(hub, space) == before
    # What is there already, or small once it is packed, has room.
    upload(hub, space, "again.bin", last)
    folder = tmp_path / "small"
    folder.mkdir()
    for n in range(10):
        (folder / f"{n}.txt").write_text(f"{n}" * 300_000)
    hub.api("alice").upload_folder(folder_path=folder, repo_id=space, repo_type="space")
    work = tmp_path / "work"
    assert hub.git("clone", hub.remote(space, "alice"), str(work)).returncode == 0
    (work / "more.bin").write_bytes(os.urandom(LARGE))
    hub.git("add", "-A", cwd=work)
    hub.git("commit", "-m", "more", cwd=work)
    pushed = hub.git("push", cwd=work)
    assert pushed.returncode != 0
    assert FULL in pushed.stderr
