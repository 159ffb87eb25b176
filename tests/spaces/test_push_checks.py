"""A push is held to what an upload is, and the pusher reads what is wrong in git's own output."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.hub_server import UPLOAD_LIMIT, Hub

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n".format("a" * 64)


@pytest.fixture
def work(hub: Hub, space: str, tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    assert hub.git("clone", hub.remote(space, "alice"), str(folder)).returncode == 0
    return folder


def push(hub: Hub, work: Path, *what: str) -> subprocess.CompletedProcess[str]:
    """Commit all there is, and push."""
    hub.git("add", "-A", cwd=work)
    hub.git("commit", "-m", "from git", cwd=work)
    return hub.git("push", "origin", *(what or ("main",)), cwd=work)


def refused(hub: Hub, space: str, work: Path, *what: str) -> str:
    """What git prints of a push that leaves the Space as it is."""
    before = hub.api("").list_repo_refs(space, repo_type="space")
    done = push(hub, work, *what)
    assert done.returncode != 0
    assert hub.api("").list_repo_refs(space, repo_type="space") == before
    return " ".join(done.stderr.replace("remote: ", "").split())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "---\nsdk: streamlit\n---\n",
            "README.md, line 2: sdk is 'streamlit', but can be gradio",
        ),
        ("---\ntitle: [\n---\n", "README.md, line"),
        ("---\ntitle: x\n", "no second '---' ends it"),
    ],
)
def test_a_broken_card_is_refused_with_its_line(
    hub: Hub, space: str, work: Path, text: str, words: str
) -> None:
    (work / "README.md").write_text(text)
    assert words in refused(hub, space, work)
    (work / "README.md").write_text("---\nsdk: static\n---\n")
    (work / "index.html").write_text("hi")
    done = push(hub, work)
    assert done.returncode == 0, done.stderr
    assert f"remote: The Space starts this version: {hub.url}/{space}" in done.stderr


def test_a_broken_card_that_is_there_already_stops_no_other_change(hub: Hub, space: str, work: Path) -> None:
    line = '{"key":"file","value":{"path":"README.md","content":"---\\nsdk: streamlit\\n---\\n"}}'
    assert hub.call("POST", f"/api/spaces/{space}/commit/main", "alice", data=line).status_code == 200
    hub.git("pull", cwd=work)
    (work / "app.py").write_text("x")
    assert push(hub, work).returncode == 0


def test_a_card_on_another_branch_is_its_own_affair(hub: Hub, space: str, work: Path) -> None:
    hub.git("checkout", "-b", "dev", cwd=work)
    (work / "README.md").write_text("---\nsdk: streamlit\n---\n")
    assert push(hub, work, "dev").returncode == 0
    assert "sdk is 'streamlit'" in refused(hub, space, work, "dev:main")


def test_a_file_over_the_limit_is_named(hub: Hub, space: str, work: Path) -> None:
    (work / "weights").mkdir()
    (work / "weights" / "größe.bin").write_bytes(os.urandom(UPLOAD_LIMIT + 1))
    assert f"größe.bin' has {UPLOAD_LIMIT + 1:,} bytes; at most {UPLOAD_LIMIT:,}" in refused(hub, space, work)


def test_a_pointer_without_its_file_is_named(hub: Hub, space: str, work: Path) -> None:
    (work / "model.safetensors").write_text(POINTER)
    words = refused(hub, space, work)
    assert "'model.safetensors'" in words
    assert "git lfs pull" in words
    # Once its file is there, the pointer in the history before is no harm.
    (work / "model.safetensors").write_bytes(b"weights")
    done = push(hub, work)
    assert done.returncode == 0, done.stderr
    (work / "about.md").write_text(f"A pointer looks so:\n{POINTER}")
    assert push(hub, work).returncode == 0


def test_branches_are_deleted_by_git_but_not_main(hub: Hub, space: str, work: Path) -> None:
    assert push(hub, work, "HEAD:idea", "HEAD:refs/tags/v1").returncode == 0
    done = push(hub, work, ":idea", ":refs/tags/v1")
    assert done.returncode == 0, done.stderr
    assert "remote:" not in done.stderr
    refs = hub.api("").list_repo_refs(space, repo_type="space")
    assert ([b.name for b in refs.branches], refs.tags) == (["main"], [])
    assert "The branch main is what the Space runs; it stays." in refused(hub, space, work, ":main")


@pytest.mark.parametrize("what", ["dev", "dev:master"])
def test_a_push_of_another_branch_says_that_it_does_not_run(
    hub: Hub, space: str, work: Path, what: str
) -> None:
    hub.git("checkout", "-b", "dev", cwd=work)
    (work / "app.py").write_text("x")
    done = push(hub, work, what)
    assert done.returncode == 0, done.stderr
    name = what.rpartition(":")[2]
    assert f"remote: The branch {name} is kept, but only main runs." in done.stderr
    assert "git push origin HEAD:main" in done.stderr
    assert hub.git("push", "origin", "HEAD:main", cwd=work).returncode == 0
