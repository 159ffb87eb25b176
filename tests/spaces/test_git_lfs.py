"""The real git-lfs: what it pushes and pulls, and what it is told."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hub_server import Hub
from tests.spaces.lfs import MEGABYTE, memory_of, oid_of, random_file, stored
from tests.spaces.test_lfs_hub_client import GROWTH, LARGE, digest

pytestmark = pytest.mark.long

Git = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def git(hub: Hub, tmp_path: Path) -> Git:
    """git with git-lfs, in a home of its own."""
    if shutil.which("git-lfs") is None:
        assert not os.environ.get("SPACEPORT_REQUIRE_GIT_LFS"), "no git-lfs here, but it is required"
        pytest.skip("needs git-lfs")
    home = tmp_path / "home"
    home.mkdir()
    settings = "[user]\nname = test\nemail = test@example.org\n[init]\ndefaultBranch = main\n"
    (home / ".gitconfig").write_text(settings)

    def run(*arguments: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *arguments], cwd=cwd, env=hub.client_env("") | {"HOME": str(home)} | env,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    assert run("lfs", "install").returncode == 0
    return run


@pytest.fixture
def work(hub: Hub, git: Git, space: str, tmp_path: Path) -> Path:
    """A clone of alice's Space in which `*.bin` is kept by LFS."""
    folder = tmp_path / "work"
    done = git("clone", hub.remote(space, "alice"), str(folder))
    assert done.returncode == 0, done.stderr
    assert git("lfs", "track", "*.bin", cwd=folder).returncode == 0
    return folder


def push(git: Git, work: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    git("add", "--all", cwd=work)
    git("commit", "-m", "change", cwd=work)
    return git("push", *arguments, cwd=work, **env)


def test_a_push_is_pulled_and_downloaded_and_the_web_process_does_not_grow(
    hub: Hub, git: Git, work: Path, space: str, tmp_path: Path
) -> None:
    random_file(work / "model.bin", LARGE)
    random_file(work / "small file.bin", 5)
    memory = memory_of(hub)
    done = push(git, work)
    assert done.returncode == 0, done.stderr
    assert "The Space starts this version" in done.stderr
    cloned = git("clone", hub.remote(space), str(tmp_path / "clone"))
    assert cloned.returncode == 0, cloned.stderr
    assert memory.grown_bytes() < GROWTH
    for name in ("model.bin", "small file.bin"):
        assert digest(tmp_path / "clone" / name) == digest(work / name)
    assert digest(work / "model.bin") in stored(hub)
    (entry,) = hub.api("alice").get_paths_info(space, "model.bin", repo_type="space")
    assert entry.size == LARGE  # type: ignore[union-attr]


def test_what_the_api_committed_is_a_large_file_for_git_lfs_too(
    hub: Hub, git: Git, work: Path, space: str, tmp_path: Path
) -> None:
    rules = b"*.dat filter=lfs diff=lfs merge=lfs -text\n"
    for path, content in ((".gitattributes", rules), ("x.dat", b"by the API")):
        hub.api("alice").upload_file(
            path_or_fileobj=content, path_in_repo=path, repo_id=space, repo_type="space"
        )
    done = git("clone", hub.remote(space), str(tmp_path / "clone"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "clone" / "x.dat").read_bytes() == b"by the API"
    assert "x.dat" in git("lfs", "ls-files", cwd=tmp_path / "clone").stdout


def test_a_pointer_whose_file_was_not_sent_is_refused(hub: Hub, git: Git, work: Path, space: str) -> None:
    (work / "model.bin").write_bytes(b"never sent")
    done = push(git, work, "--no-verify")  # without the hook of git-lfs, which sends
    assert done.returncode != 0
    assert (
        "'model.bin' (refs/heads/main) is only a pointer of Git LFS, and its file is not here" in done.stderr
    )
    again = git("push", cwd=work)
    assert again.returncode == 0, again.stderr
    assert hub.call("GET", f"/spaces/{space}/resolve/main/model.bin").content == b"never sent"


def test_another_spaces_file_is_not_had_by_its_hash(
    hub: Hub, git: Git, work: Path, new_space: Callable[..., str], tmp_path: Path
) -> None:
    hidden = new_space("alice", visibility="private")
    git("remote", "add", "hidden", hub.remote(hidden, "alice"), cwd=work)
    (work / "model.bin").write_bytes(b"a secret model")
    done = push(git, work, "hidden", "HEAD:refs/heads/main", "--force")
    assert done.returncode == 0, done.stderr
    own = new_space("charlie")
    clone = tmp_path / "clone"
    git("clone", hub.remote(own, "charlie"), str(clone))
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid_of(b'a secret model')}\nsize 14\n"
    (clone / "stolen.txt").write_text(pointer)
    refused = push(git, clone, "--no-verify")
    assert refused.returncode != 0
    assert "'stolen.txt'" in refused.stderr
    denied = git("clone", hub.remote(hidden, "charlie"), str(tmp_path / "denied"))
    assert denied.returncode != 0


def test_a_file_over_the_limit_is_told_before_it_is_sent(hub: Hub, git: Git, work: Path) -> None:
    with (work / "huge.bin").open("wb") as file:
        file.truncate(300_000_001)
    done = push(git, work)
    assert done.returncode != 0
    assert "The file has 300,000,001 bytes; at most 300,000,000 are taken." in done.stderr


def test_locks_are_not_here_and_stop_nobody(hub: Hub, git: Git, work: Path) -> None:
    (work / "a.bin").write_bytes(b"a")
    done = push(git, work)
    assert done.returncode == 0, done.stderr
    locked = git("lfs", "lock", "a.bin", cwd=work)
    assert locked.returncode != 0
    assert "not locked here" in locked.stderr + locked.stdout


def test_wrong_tokens_and_readers_are_told(
    hub: Hub, git: Git, work: Path, space: str, tmp_path: Path
) -> None:
    (work / "a.bin").write_bytes(os.urandom(MEGABYTE))
    for who, words in (("alice_read", "may only read"), ("charlie", "no write access")):
        done = push(git, work, hub.remote(space, who), "HEAD:main")
        assert done.returncode != 0, who
        assert words in done.stderr, done.stderr
    wrong = hub.remote(space, "alice").replace("@", "x@")
    done = push(git, work, wrong, "HEAD:main")
    assert done.returncode != 0
    assert "uthentication" in done.stderr or "uthorization" in done.stderr, done.stderr
