"""Clone and push with the real git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from huggingface_hub import HfApi

from tests.hub_server import Hub

Make = Callable[..., str]


def clone(hub: Hub, space: str, folder: Path, who: str = "alice") -> Path:
    done = hub.git("clone", hub.remote(space, who), str(folder))
    assert done.returncode == 0, done.stderr
    return folder


def push(hub: Hub, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Commit all there is, and push."""
    assert hub.git("add", "-A", cwd=folder).returncode == 0
    hub.git("commit", "-m", "from git", cwd=folder)
    return hub.git("push", *(arguments or ("origin", "main")), cwd=folder)


def test_a_push_is_the_new_version(hub: Hub, space: str, tmp_path: Path) -> None:
    folder = clone(hub, space, tmp_path / "work")
    assert (folder / "README.md").exists()
    (folder / "README.md").write_text("---\nsdk: static\ntitle: By git\n---\n")
    (folder / "index.html").write_text("<h1>hi</h1>")
    done = push(hub, folder)
    assert done.returncode == 0, done.stderr
    found = hub.api("").space_info(space)
    assert found.sha == hub.git("rev-parse", "HEAD", cwd=folder).stdout.strip()
    assert (found.sdk, found.card_data["title"]) == ("static", "By git")  # type: ignore[index]
    assert found.runtime is not None
    assert found.runtime.stage == "RUNNING"


def test_files_may_be_named_in_any_encoding(hub: Hub, space: str, tmp_path: Path) -> None:
    folder = clone(hub, space, tmp_path / "work")
    (Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.txt"))).write_text(
        "as long as a pointer of Git LFS " * 3
    )
    done = push(hub, folder)
    assert done.returncode == 0, done.stderr


def test_uploads_are_pulled_and_pushes_are_downloaded(hub: Hub, space: str, tmp_path: Path) -> None:
    folder = clone(hub, space, tmp_path / "work")
    api = hub.api("alice")
    api.upload_file(path_or_fileobj=b"api", path_in_repo="a.txt", repo_id=space, repo_type="space")
    (folder / "b.txt").write_text("git")
    refused = push(hub, folder)
    assert refused.returncode != 0
    assert "fetch first" in refused.stderr
    assert hub.git("pull", "--rebase", cwd=folder).returncode == 0
    assert (folder / "a.txt").read_text() == "api"
    assert push(hub, folder).returncode == 0
    got = api.hf_hub_download(space, "b.txt", repo_type="space", cache_dir=tmp_path / "cache")
    assert Path(got).read_text() == "git"


@pytest.mark.parametrize("shape", ["{}.git", "{}"])
def test_both_shapes_of_the_address(hub: Hub, space: str, tmp_path: Path, shape: str) -> None:
    for prefix in ("/spaces/", "/"):
        url = f"http://127.0.0.1:{hub.port}{prefix}{shape.format(space)}"
        assert hub.git("ls-remote", url).stdout.endswith("refs/heads/main\n")


def test_large_pushes_come_in_chunks(hub: Hub, space: str, tmp_path: Path) -> None:
    folder = clone(hub, space, tmp_path / "work")
    content = os.urandom(2_500_000)
    (folder / "big.bin").write_bytes(content)
    done = push(hub, folder)
    assert done.returncode == 0, done.stderr
    got = hub.api("").hf_hub_download(space, "big.bin", repo_type="space", cache_dir=tmp_path / "cache")
    assert Path(got).read_bytes() == content


def test_other_branches_do_not_touch_what_runs(hub: Hub, space: str, tmp_path: Path) -> None:
    folder = clone(hub, space, tmp_path / "work")
    before = hub.api("").space_info(space).sha
    hub.git("checkout", "-b", "idea", cwd=folder)
    (folder / "x").write_text("x")
    assert push(hub, folder, "origin", "idea").returncode == 0
    assert hub.api("").space_info(space).sha == before
    assert "idea" in {b.name for b in hub.api("").list_repo_refs(space, repo_type="space").branches}


def test_who_may_clone_and_push(hub: Hub, space: str, new_space: Make, tmp_path: Path) -> None:
    private = new_space("alice", owner="lab", visibility="private")
    for who in ("", "charlie"):
        assert hub.git("ls-remote", hub.remote(private, who)).returncode != 0
    assert hub.git("ls-remote", hub.remote(private, "reader")).returncode == 0
    for number, (target, who) in enumerate(
        ((space, ""), (space, "charlie"), (space, "alice_read"), (private, "reader"))
    ):
        source = "alice" if target == private else who
        folder = clone(hub, target, tmp_path / str(number), source)
        hub.git("remote", "set-url", "origin", hub.remote(target, who), cwd=folder)
        (folder / "evil.txt").write_text("x")
        refused = push(hub, folder)
        assert refused.returncode != 0
        assert "evil.txt" not in hub.api("alice").list_repo_files(target, repo_type="space")
    folder = clone(hub, private, tmp_path / "bob", "bob")
    (folder / "good.txt").write_text("x")
    assert push(hub, folder).returncode == 0


def test_main_cannot_be_deleted(hub: Hub, space: str, tmp_path: Path) -> None:
    folder = clone(hub, space, tmp_path / "work")
    assert hub.git("push", "origin", ":main", cwd=folder).returncode != 0
    assert hub.git("ls-remote", hub.remote(space)).stdout.endswith("refs/heads/main\n")


def test_links_and_submodules_show_nothing_of_this_machine(hub: Hub, space: str, tmp_path: Path) -> None:
    folder = clone(hub, space, tmp_path / "work")
    (folder / "README.md").unlink()
    (folder / "README.md").symlink_to("/etc/passwd")
    (folder / "folder").symlink_to("/etc")
    commit = hub.git("rev-parse", "HEAD", cwd=folder).stdout.strip()
    hub.git("update-index", "--add", "--cacheinfo", f"160000,{commit},sub", cwd=folder)
    hub.git("add", "README.md", "folder", cwd=folder)
    hub.git("commit", "-m", "links", cwd=folder)
    done = hub.git("push", "origin", "main", cwd=folder)
    assert done.returncode == 0, done.stderr
    api: HfApi = hub.api("")
    assert {"README.md", "folder", "sub"} <= set(api.list_repo_files(space, repo_type="space"))
    shown = requests.get(f"{hub.url}/spaces/{space}/resolve/main/README.md", timeout=10)
    assert shown.text == "/etc/passwd"
    for path in ("folder/passwd", "sub"):
        answer = requests.get(f"{hub.url}/spaces/{space}/resolve/main/{path}", timeout=10)
        assert answer.status_code == 404, path


def test_hostile_trees_are_refused(hub: Hub, space: str, tmp_path: Path) -> None:
    folder = clone(hub, space, tmp_path / "work")
    blob = hub.git("hash-object", "-w", "README.md", cwd=folder).stdout.strip()
    for number, name in enumerate((".git", "..", ".GIT", ".git ")):
        entry = f"100644 blob {blob}\t{name}\0"
        made = subprocess.run(
            ["git", "mktree", "-z"], cwd=folder, input=entry, capture_output=True, text=True, check=False
        )
        tree = made.stdout.strip()
        assert tree, made.stderr
        commit = hub.git("commit-tree", tree, "-m", "evil", "-p", "HEAD", cwd=folder).stdout.strip()
        refused = hub.git("push", "-f", "origin", f"{commit}:refs/heads/evil{number}", cwd=folder)
        if name != ".git ":
            assert refused.returncode != 0, name
    assert hub.api("").space_info(space).sha is not None


def test_hooks_and_configuration_in_a_push_are_only_files(hub: Hub, space: str, tmp_path: Path) -> None:
    folder = clone(hub, space, tmp_path / "work")
    marker = tmp_path / "marker"
    for name in ("hooks/post-receive", "hooks/pre-receive", "config", ".gitconfig"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"#!/bin/sh\ntouch {marker}\n")
        (folder / name).chmod(0o755)
    assert push(hub, folder).returncode == 0
    assert not marker.exists()


def test_git_lfs_is_told_that_there_are_no_locks(hub: Hub, space: str) -> None:
    answer = hub.call("POST", f"/spaces/{space}.git/info/lfs/locks/verify", "alice", json={})
    assert answer.status_code == 404
    assert "not locked here" in answer.json()["message"]
    assert answer.headers["Content-Type"] == "application/vnd.git-lfs+json"


def test_odd_requests_of_the_git_door(hub: Hub, space: str) -> None:
    for method, path, options in (
        ("GET", "info/refs", {}),
        ("GET", "info/refs?service=git-evil", {}),
        ("POST", "git-receive-pack", {"data": b"junk"}),
        ("POST", "git-upload-pack", {"data": b"junk", "headers": {"Content-Encoding": "gzip"}}),
        ("POST", "git-upload-pack", {"data": b"0000", "headers": {"Content-Type": "text/plain"}}),
        ("DELETE", "git-receive-pack", {}),
    ):
        answer = hub.call(method, f"/spaces/{space}/{path}", "alice", **options)
        assert answer.status_code < 500 or answer.status_code == 501, (method, path, answer.text)
    assert hub.call("GET", f"/spaces/{space}/info/refs?service=git-receive-pack").status_code == 401
    bearer = hub.call("GET", f"/spaces/{space}/info/refs?service=git-receive-pack", "alice")
    assert bearer.status_code == 200


# --- the ways of real git ---------------------------------------------------------------------------


def test_a_forced_push_of_another_history_is_the_new_version(hub: Hub, space: str, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    hub.git("init", cwd=folder)
    (folder / "README.md").write_text("---\nsdk: static\n---\n")
    hub.git("remote", "add", "origin", hub.remote(space, "alice"), cwd=folder)
    assert push(hub, folder).returncode != 0
    assert push(hub, folder, "--force", "origin", "main").returncode == 0
    api = hub.api("alice")
    assert len(api.list_repo_commits(space, repo_type="space")) == 1
    assert api.space_info(space).sdk == "static"


def test_tags_and_branches_come_and_go(hub: Hub, space: str, tmp_path: Path) -> None:
    folder, api = clone(hub, space, tmp_path / "work"), hub.api("alice")
    hub.git("tag", "v1", cwd=folder)
    hub.git("tag", "-a", "v2", "-m", "second", cwd=folder)
    hub.git("branch", "feat/x", cwd=folder)
    assert hub.git("push", "origin", "--tags", "feat/x", cwd=folder).returncode == 0
    refs = api.list_repo_refs(space, repo_type="space")
    assert {tag.name for tag in refs.tags} == {"v1", "v2"}
    assert {branch.name for branch in refs.branches} == {"main", "feat/x"}
    assert hub.git("push", "origin", ":v1", ":feat/x", cwd=folder).returncode == 0
    refs = api.list_repo_refs(space, repo_type="space")
    assert ([tag.name for tag in refs.tags], [one.name for one in refs.branches]) == (["v2"], ["main"])


def test_a_shallow_clone_is_fetched_deepened_and_pushed_from(hub: Hub, space: str, tmp_path: Path) -> None:
    api = hub.api("alice")
    for text in (b"1", b"2", b"3"):
        api.upload_file(path_or_fileobj=text, path_in_repo="a.txt", repo_id=space, repo_type="space")
    folder = tmp_path / "work"
    assert hub.git("clone", "--depth", "1", hub.remote(space, "alice"), str(folder)).returncode == 0
    assert hub.git("rev-list", "--count", "HEAD", cwd=folder).stdout.strip() == "1"
    (folder / "b.txt").write_text("from a shallow clone")
    assert push(hub, folder).returncode == 0
    assert hub.git("fetch", "--unshallow", cwd=folder).returncode == 0
    assert hub.git("rev-list", "--count", "HEAD", cwd=folder).stdout.strip() == "5"
    assert len(api.list_repo_commits(space, repo_type="space")) == 5


def test_of_two_pushes_at_once_one_wins_and_the_other_is_told(hub: Hub, space: str, tmp_path: Path) -> None:
    folders = [clone(hub, space, tmp_path / name) for name in ("one", "two")]
    for number, folder in enumerate(folders):
        (folder / f"{number}.txt").write_text("x")
        hub.git("add", "-A", cwd=folder)
        hub.git("commit", "-m", str(number), cwd=folder)
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda folder: hub.git("push", "origin", "main", cwd=folder), folders))
    assert sorted(one.returncode == 0 for one in done) == [False, True], [one.stderr for one in done]
    [loser] = [folder for folder, one in zip(folders, done, strict=True) if one.returncode != 0]
    assert hub.git("pull", "--rebase", "origin", "main", cwd=loser).returncode == 0
    assert hub.git("push", "origin", "main", cwd=loser).returncode == 0
    assert {"0.txt", "1.txt"} <= set(hub.api("alice").list_repo_files(space, repo_type="space"))


def test_a_push_says_what_comes_of_it_at_once_where_nothing_is_built(
    hub: Hub, space: str, tmp_path: Path
) -> None:
    folder = clone(hub, space, tmp_path / "work")
    (folder / "README.md").write_text("---\nsdk: gradio\n---\nmore\n")
    assert f"{space} does not run (NO_APP_FILE): There is no app.py" in push(hub, folder).stderr
    (folder / "app.py").write_text("print()")
    assert f"{space} is built once a build worker runs" in push(hub, folder).stderr
    (folder / "README.md").write_text("---\nsdk: static\n---\n")
    assert f"{space} runs: " in push(hub, folder).stderr
