"""Large files by Xet: the newest official client as it is, with no setting made."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import HfApi, hf_hub_download

from tests.hub_server import UPLOAD_LIMIT, Hub
from tests.spaces.lfs import MEGABYTE, memory_of, on_the_way, random_file, stored
from tests.spaces.test_lfs_hub_client import GROWTH, LARGE, digest

pytestmark = pytest.mark.long


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return hub.api("alice")


def similar_files(folder: Path) -> list[Path]:
    """Numbers, which are compressed in groups; lines, which are compressed; and the numbers with a change."""
    numbers, lines, changed = folder / "numbers.bin", folder / "lines.txt", folder / "changed.bin"
    content = array("f", (number / 7 for number in range(UPLOAD_LIMIT))).tobytes()
    numbers.write_bytes(content)
    changed.write_bytes(content[: 2 * MEGABYTE] + b"something else" + content[3 * MEGABYTE :] + b"odd")
    lines.write_text("".join(f"line {number}\n" for number in range(UPLOAD_LIMIT // 8)))
    return [numbers, lines, changed]


def test_hf_upload_sends_a_large_file_and_the_web_process_does_not_grow(
    hub: Hub, space: str, tmp_path: Path
) -> None:
    file = random_file(tmp_path / "model.bin", LARGE)
    memory = memory_of(hub)
    done = hub.hf("alice", "upload", space, str(file), "--repo-type", "space")
    assert done.returncode == 0, done.stderr
    assert "Xet" not in done.stdout + done.stderr
    down = hf_hub_download(
        space, "model.bin", repo_type="space", endpoint=hub.url, local_dir=tmp_path / "down", token=False
    )
    assert memory.grown_bytes() < GROWTH
    assert digest(down) == digest(file)
    assert digest(file) in stored(hub)
    assert on_the_way(hub, space) == []


def test_a_folder_of_large_files_comes_as_it_was_and_to_a_second_space_too(
    hub: Hub, api: HfApi, new_space: Callable[..., str], tmp_path: Path
) -> None:
    """The client knows which pieces it sent before, and leaves them out where it takes them to be there."""
    files = similar_files(tmp_path)
    for space in (new_space(), new_space()):
        api.upload_folder(folder_path=tmp_path, repo_id=space, repo_type="space")
        for file in files:
            got = hub.call("GET", f"/spaces/{space}/resolve/main/{file.name}").content
            assert got == file.read_bytes(), file.name
        assert on_the_way(hub, space) == []
    longer = files[0].read_bytes() + b"more"
    api.upload_file(path_or_fileobj=longer, path_in_repo="longer.bin", repo_id=space, repo_type="space")
    assert hub.call("GET", f"/spaces/{space}/resolve/main/longer.bin").content == longer
    api.upload_file(path_or_fileobj=longer, path_in_repo="again.bin", repo_id=space, repo_type="space")
    assert on_the_way(hub, space) == []
