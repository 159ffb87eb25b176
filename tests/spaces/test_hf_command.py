"""The real `hf` command: what people type."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hub_server import LARGE_LIMIT, Hub

pytestmark = pytest.mark.long

Make = Callable[..., str]


def test_login_and_whoami(hub: Hub) -> None:
    assert "alice" in hub.hf("alice", "auth", "whoami").stdout
    done = hub.hf("", "auth", "login", "--token", hub.tokens["bob"])
    assert done.returncode == 0, done.stderr
    assert "bob" in hub.hf("", "auth", "whoami").stdout
    assert hub.hf("", "auth", "logout").returncode == 0
    wrong = hub.hf("", "auth", "login", "--token", "hf_" + "x" * 34)
    assert wrong.returncode != 0


def test_upload_download_delete(hub: Hub, tmp_path: Path) -> None:
    source = tmp_path / "app"
    source.mkdir()
    (source / "README.md").write_text("---\nsdk: static\ntitle: Typed\n---\n")
    (source / "index.html").write_text("<h1>hi</h1>")
    (source / "__pycache__").mkdir()
    done = hub.hf("alice", "upload", "alice/typed", str(source), ".", "--repo-type", "space")
    assert done.returncode == 0, done.stderr
    assert f"{hub.url}/spaces/alice/typed" in done.stdout + done.stderr
    again = hub.hf("alice", "upload", "alice/typed", str(source), ".", "--repo-type", "space")
    assert again.returncode == 0, again.stderr
    one = hub.hf(
        "alice", "upload", "alice/typed", str(source / "index.html"), "sub/copy.html", "--repo-type", "space"
    )
    assert one.returncode == 0, one.stderr
    branch = hub.hf(
        "alice", "upload", "alice/typed", str(source / "index.html"), "b.html", "--repo-type", "space",
        "--revision", "next",
    )  # fmt: skip
    assert branch.returncode == 0, branch.stderr
    got = hub.hf("", "download", "alice/typed", "--repo-type", "space", "--local-dir", str(tmp_path / "out"))
    assert got.returncode == 0, got.stderr
    assert (tmp_path / "out" / "sub" / "copy.html").read_text() == "<h1>hi</h1>"
    assert not (tmp_path / "out" / "b.html").exists()
    swept = hub.hf(
        "alice", "upload", "alice/typed", str(source), ".", "--repo-type", "space", "--delete", "sub/*"
    )  # fmt: skip
    assert swept.returncode == 0, swept.stderr
    listed = hub.hf("", "spaces", "ls", "alice/typed", "-R")
    assert "index.html" in listed.stdout
    assert "copy.html" not in listed.stdout
    gone = hub.hf("alice", "repos", "delete", "alice/typed", "--type", "space", "--yes")
    assert gone.returncode == 0, gone.stderr
    missing = hub.hf("alice", "download", "alice/typed", "--repo-type", "space")
    assert missing.returncode != 0
    assert "not found" in (missing.stdout + missing.stderr).lower()


def test_too_large_a_file_is_told_in_words(hub: Hub, space: str, tmp_path: Path) -> None:
    with (tmp_path / "model.bin").open("wb") as file:
        file.truncate(LARGE_LIMIT + 1)
    done = hub.hf("alice", "upload", space, str(tmp_path), ".", "--repo-type", "space")
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert "files of at most 300,000,000 bytes can be uploaded" in said


def test_bad_front_matter_is_told_with_its_line(hub: Hub, space: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\ntitle: x\nsdk: [\n---\n")
    done = hub.hf("alice", "upload", space, str(tmp_path), ".", "--repo-type", "space")
    assert done.returncode != 0
    assert "README.md, line" in done.stdout + done.stderr


def test_repos_commands(hub: Hub) -> None:
    made = hub.hf(
        "alice",
        "repos",
        "create",
        "alice/by-command",
        "--type",
        "space",
        "--space-sdk",
        "static",
        "--private",
    )
    assert made.returncode == 0, made.stderr
    assert hub.api("alice").space_info("alice/by-command").private
    assert "alice/by-command" in hub.hf("alice", "repos", "ls", "--limit", "0").stdout
    opened = hub.hf("alice", "repos", "settings", "alice/by-command", "--type", "space", "--public")
    assert opened.returncode == 0, opened.stderr
    assert not hub.api("").space_info("alice/by-command").private
    tagged = hub.hf("alice", "repos", "tag", "create", "alice/by-command", "v1", "--type", "space")
    assert tagged.returncode == 0, tagged.stderr
    assert "v1" in hub.hf("", "repos", "tag", "ls", "alice/by-command", "--type", "space").stdout
    copied = hub.hf("bob", "repos", "duplicate", "alice/by-command", "bob/copy", "--type", "space")
    assert copied.returncode == 0, copied.stderr
    assert hub.api("").repo_exists("bob/copy", repo_type="space")


def test_spaces_commands(hub: Hub, space: str) -> None:
    listed = hub.hf("", "spaces", "ls", "--author", "alice", "--limit", "100", "--format", "json")
    assert space in {row["id"] for row in json.loads(listed.stdout)}
    assert space.split("/")[1] in hub.hf("", "spaces", "info", space).stdout
    assert "t4-small" in hub.hf("", "spaces", "hardware").stdout
    moved = hub.hf("alice", "spaces", "settings", space, "--hardware", "t4-small", "--sleep-time", "600")
    assert moved.returncode == 0, moved.stderr
    runtime = hub.api("").get_space_runtime(space)
    assert (runtime.requested_hardware, runtime.sleep_time) == ("t4-small", 600)
    unknown = hub.hf("alice", "spaces", "settings", space, "--hardware", "quantum")
    assert unknown.returncode != 0
    assert "no hardware 'quantum'" in " ".join((unknown.stdout + unknown.stderr).split())
    assert hub.hf("alice", "spaces", "pause", space).returncode == 0
    assert hub.api("").get_space_runtime(space).stage == "PAUSED"
    assert hub.hf("alice", "spaces", "restart", space).returncode == 0
    assert hub.api("").get_space_runtime(space).stage == "NO_APP_FILE"
    added = hub.hf("alice", "spaces", "secrets", "add", space, "-s", "TOKEN=canary-987")
    assert added.returncode == 0, added.stderr
    listed = hub.hf("alice", "spaces", "secrets", "ls", space)
    assert "TOKEN" in listed.stdout
    assert "canary-987" not in listed.stdout
    added = hub.hf("alice", "spaces", "variables", "add", space, "-e", "MODE=fast")
    assert added.returncode == 0, added.stderr
    assert "fast" in hub.hf("alice", "spaces", "variables", "ls", space).stdout
    assert hub.hf("charlie", "spaces", "pause", space).returncode != 0
    nobody = hub.hf("alice", "spaces", "info", "alice/nothing")
    assert nobody.returncode != 0
    assert "not found" in (nobody.stdout + nobody.stderr)
