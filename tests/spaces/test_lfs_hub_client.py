"""Large files with the official client: `huggingface_hub` without Xet, and one of a year ago as it is."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import (
    HfApi,
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    snapshot_download,
)
from huggingface_hub.hf_api import RepoFile

from tests.compat.conftest import hub_python
from tests.hub_server import UPLOAD_LIMIT, Hub
from tests.spaces.lfs import MEGABYTE, memory_of, oid_of, random_file, stored

LARGE = 96 * MEGABYTE
GROWTH = 48 * MEGABYTE  # of the web process meanwhile: half of the file at most
YEAR_AGO = "1.1.7"

_OLD_CLIENT = """
import sys
from huggingface_hub import HfApi, __version__, hf_hub_download
assert __version__ == {version!r}, __version__
space, folder, kept = sys.argv[1:]
api = HfApi()
api.upload_folder(folder_path=folder, repo_id=space, repo_type="space")
big = folder + "/big.bin"
api.upload_file(path_or_fileobj=big, path_in_repo="again.bin", repo_id=space, repo_type="space")
print(hf_hub_download(space, "big.bin", repo_type="space", local_dir=kept))
"""

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),  # the client's own
]


@pytest.fixture(autouse=True)
def _without_xet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return hub.api("alice")


def digest(path: str | Path) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_a_large_file_goes_up_and_down_and_the_web_process_does_not_grow(
    hub: Hub, api: HfApi, space: str, tmp_path: Path
) -> None:
    file = random_file(tmp_path / "model.bin", LARGE)
    memory = memory_of(hub)
    api.upload_file(path_or_fileobj=file, path_in_repo="m/model.bin", repo_id=space, repo_type="space")
    down = hf_hub_download(
        space, "m/model.bin", repo_type="space", endpoint=hub.url, local_dir=tmp_path / "down", token=False
    )
    assert memory.grown_bytes() < GROWTH
    assert digest(down) == digest(file)
    assert digest(file) in stored(hub)


def test_what_the_client_is_told_of_a_large_file(hub: Hub, api: HfApi, space: str, tmp_path: Path) -> None:
    file = random_file(tmp_path / "model.bin", UPLOAD_LIMIT + 1)
    api.upload_file(path_or_fileobj=file, path_in_repo="model.bin", repo_id=space, repo_type="space")
    by_tree = next(e for e in api.list_repo_tree(space, repo_type="space") if e.path == "model.bin")
    (by_path,) = api.get_paths_info(space, "model.bin", repo_type="space")
    for entry in (by_tree, by_path):
        assert isinstance(entry, RepoFile)
        assert entry.lfs is not None
        assert (entry.size, entry.lfs.size, entry.lfs.sha256) == (
            UPLOAD_LIMIT + 1,
            UPLOAD_LIMIT + 1,
            digest(file),
        )
        assert (entry.lfs.pointer_size, entry.xet_hash) == (132, None)
    siblings = api.space_info(space, files_metadata=True).siblings or []
    (listed,) = [s for s in siblings if s.rfilename == "model.bin"]
    assert listed.lfs is not None
    assert (listed.lfs.sha256, listed.size) == (digest(file), UPLOAD_LIMIT + 1)
    assert (api.space_info(space, expand=["usedStorage"]).used_storage or 0) > UPLOAD_LIMIT
    seen = get_hf_file_metadata(hf_hub_url(space, "model.bin", repo_type="space", endpoint=hub.url))
    assert (seen.etag, seen.size, seen.xet_file_data) == (digest(file), UPLOAD_LIMIT + 1, None)


def test_ranges_of_a_large_file_and_who_has_it_gets_none(
    hub: Hub, api: HfApi, space: str, tmp_path: Path
) -> None:
    file = random_file(tmp_path / "model.bin", 2 * UPLOAD_LIMIT)
    api.upload_file(path_or_fileobj=file, path_in_repo="model.bin", repo_id=space, repo_type="space")
    content, url = file.read_bytes(), f"/spaces/{space}/resolve/main/model.bin"
    head = hub.call("HEAD", url)
    assert head.headers["X-Linked-Etag"] == head.headers["ETag"] == f'"{digest(file)}"'
    assert head.headers["X-Linked-Size"] == head.headers["Content-Length"] == str(len(content))
    for asked, status, expected in (
        ("bytes=10-19", 206, content[10:20]),
        (f"bytes={UPLOAD_LIMIT}-", 206, content[UPLOAD_LIMIT:]),
        ("bytes=-7", 206, content[-7:]),
        (f"bytes={len(content)}-", 416, b""),
    ):
        answer = hub.call("GET", url, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (status, expected), asked
    again = hub.call("GET", url, headers={"If-None-Match": f'"{digest(file)}"'})
    assert (again.status_code, again.content) == (304, b"")


def test_a_folder_of_both_kinds_comes_back_and_is_not_sent_twice(
    hub: Hub, api: HfApi, space: str, tmp_path: Path
) -> None:
    folder = tmp_path / "up"
    folder.mkdir()
    (folder / "app.py").write_text("print('hello')\n")
    (folder / "empty.bin").write_bytes(b"")
    random_file(folder / "a file [1].bin", UPLOAD_LIMIT + 5)
    random_file(folder / "b.bin", UPLOAD_LIMIT + 6)
    api.upload_folder(folder_path=folder, repo_id=space, repo_type="space")
    head = api.space_info(space).sha
    api.upload_folder(folder_path=folder, repo_id=space, repo_type="space")
    assert api.space_info(space).sha == head
    down = Path(
        snapshot_download(
            space, repo_type="space", endpoint=hub.url, local_dir=tmp_path / "down", token=False
        )
    )
    for path in folder.iterdir():
        assert digest(down / path.name) == digest(path), path.name
    attributes = (down / ".gitattributes").read_text().splitlines()
    assert "/a[[:space:]]file[[:space:]][[]1].bin filter=lfs diff=lfs merge=lfs -text" in attributes
    assert not any("app.py" in line or "empty.bin" in line for line in attributes)


def test_a_file_that_attributes_name_is_kept_by_lfs_however_it_comes(
    hub: Hub, api: HfApi, space: str
) -> None:
    rules = b"*.bin filter=lfs diff=lfs merge=lfs -text\nsmall/* -filter\n"
    api.upload_file(path_or_fileobj=rules, path_in_repo=".gitattributes", repo_id=space, repo_type="space")
    for path in ("x.bin", "y/x.bin", "small/x.bin"):
        content = f"the content of {path}".encode()
        api.upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=space, repo_type="space")
        (entry,) = api.get_paths_info(space, path, repo_type="space")
        assert isinstance(entry, RepoFile)
        by_lfs = path != "small/x.bin"
        assert (entry.lfs is not None) == by_lfs, path
        assert (oid_of(content) in stored(hub)) == by_lfs
        assert hub.call("GET", f"/spaces/{space}/resolve/main/{path}").content == content


def test_one_object_is_stored_once_and_its_second_space_sends_nothing(
    hub: Hub, api: HfApi, new_space: Callable[..., str], tmp_path: Path
) -> None:
    file = random_file(tmp_path / "model.bin", UPLOAD_LIMIT + 1)
    spaces = [new_space(), new_space()]
    for space in spaces:
        api.upload_file(path_or_fileobj=file, path_in_repo="model.bin", repo_id=space, repo_type="space")
    assert [name for name in stored(hub) if name == digest(file)] == [digest(file)]
    assert hub.sql("select count(*) from spaces_largefile where oid = %s", digest(file)) == [(2,)]
    api.delete_repo(spaces[0], repo_type="space")
    url = f"/spaces/{spaces[1]}/resolve/main/model.bin"
    assert hub.call("GET", url).content == file.read_bytes()


def test_large_files_are_listed_and_deleted(hub: Hub, api: HfApi, space: str, tmp_path: Path) -> None:
    for name in ("a.bin", "b.bin"):
        file = random_file(tmp_path / name, UPLOAD_LIMIT + 1)
        api.upload_file(path_or_fileobj=file, path_in_repo=name, repo_id=space, repo_type="space")
    api.delete_file("a.bin", repo_id=space, repo_type="space")
    found = {file.file_oid: file for file in api.list_lfs_files(space, repo_type="space")}
    gone, there = found[digest(tmp_path / "a.bin")], found[digest(tmp_path / "b.bin")]
    assert (gone.filename, gone.ref, gone.size) == ("", None, UPLOAD_LIMIT + 1)
    assert (there.filename, there.ref) == ("b.bin", "refs/heads/main")
    api.permanently_delete_lfs_files(space, [gone], repo_type="space")
    assert [file.filename for file in api.list_lfs_files(space, repo_type="space")] == ["b.bin"]
    api.permanently_delete_lfs_files(space, [there], repo_type="space", rewrite_history=False)
    assert hub.call("GET", f"/spaces/{space}/resolve/main/b.bin").content.startswith(
        b"version https://git-lfs"
    )


def test_a_file_that_is_deleted_for_good_was_never_in_the_history(
    hub: Hub, api: HfApi, space: str, tmp_path: Path
) -> None:
    def upload(path: str, file: Path | bytes, branch: str = "main") -> None:
        api.upload_file(
            path_or_fileobj=file, path_in_repo=path, repo_id=space, repo_type="space", revision=branch
        )

    model, other = (random_file(tmp_path / name, UPLOAD_LIMIT + 1) for name in ("model.bin", "other.bin"))
    upload("app.py", b"before")
    before = api.space_info(space).sha
    upload("deep/only/model.bin", model)
    api.create_tag(space, tag="v1", tag_message="With it", repo_type="space")
    api.create_tag(space, tag="plain", repo_type="space")
    upload("other.bin", other)
    api.create_branch(space, branch="side", repo_type="space")
    upload("copy.bin", model, branch="side")
    api.delete_file("deep/only/model.bin", repo_id=space, repo_type="space")
    titles = [commit.title for commit in api.list_repo_commits(space, repo_type="space")]

    [held] = [f for f in api.list_lfs_files(space, repo_type="space") if f.file_oid == digest(model)]
    api.permanently_delete_lfs_files(space, [held], repo_type="space")
    assert [f.file_oid for f in api.list_lfs_files(space, repo_type="space")] == [digest(other)]
    commits = api.list_repo_commits(space, repo_type="space")
    assert [commit.title for commit in commits] == titles
    assert before in {commit.commit_id for commit in commits}, "what came before is as it was"
    assert api.space_info(space).sha == commits[0].commit_id
    for revision in ("main", "side", "v1", "plain"):
        names = api.list_repo_files(space, revision=revision, repo_type="space")
        assert {"app.py"} <= set(names)
        assert not [name for name in names if "model" in name or "copy" in name]
    url = f"/spaces/{space}/resolve/side/other.bin"
    assert hub.call("GET", url).content == other.read_bytes()
    clone = hub.git("clone", hub.remote(space), str(tmp_path / "clone"))
    assert clone.returncode == 0, clone.stderr
    every = hub.git("log", "--all", "--format=", "--name-only", cwd=tmp_path / "clone").stdout.split()
    assert "app.py" in every
    assert not [name for name in every if "model" in name or "copy" in name]
    assert hub.git("fsck", "--strict", cwd=tmp_path / "clone").returncode == 0


def test_large_files_of_a_branch_are_listed_with_it(api: HfApi, space: str, tmp_path: Path) -> None:
    api.create_branch(space, branch="dev", repo_type="space")
    file = random_file(tmp_path / "model.bin", UPLOAD_LIMIT + 1)
    for branch in ("dev", "main"):
        path = f"{branch}.bin"
        api.upload_file(
            path_or_fileobj=file, path_in_repo=path, repo_id=space, repo_type="space", revision=branch
        )
        listed = api.list_lfs_files(space, repo_type="space")
        assert [(one.filename, one.ref) for one in listed] == [(path, f"refs/heads/{branch}")]


def test_copies_keep_their_large_files(hub: Hub, api: HfApi, space: str, tmp_path: Path) -> None:
    file = random_file(tmp_path / "model.bin", UPLOAD_LIMIT + 1)
    api.upload_file(path_or_fileobj=file, path_in_repo="model.bin", repo_id=space, repo_type="space")
    copied = f"{space}-copy"
    api.duplicate_repo(space, copied, repo_type="space")
    api.delete_repo(space, repo_type="space")
    assert hub.call("GET", f"/spaces/{copied}/resolve/main/model.bin").content == file.read_bytes()


def test_a_client_of_a_year_ago_uploads_as_it_is(hub: Hub, space: str, tmp_path: Path) -> None:
    """It has Xet too, and falls back to LFS by itself."""
    folder, kept = tmp_path / "up", tmp_path / "down"
    folder.mkdir()
    random_file(folder / "big.bin", UPLOAD_LIMIT + 1)
    done = subprocess.run(
        [hub_python(YEAR_AGO), "-c", _OLD_CLIENT.format(version=YEAR_AGO), space, str(folder), str(kept)],
        env=hub.client_env("alice"), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert digest(kept / "big.bin") == digest(folder / "big.bin")
