"""Each command of `hf` about Spaces, one by one: it works, or says in a sentence why not."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.hub_server import Hub

pytestmark = pytest.mark.long

Make = Callable[..., str]


def words(hub: Hub, who: str, *arguments: str) -> tuple[int, str]:
    """Exit status, and all that was printed, on one line."""
    done = hub.hf(who, *arguments)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def upload(hub: Hub, space: str, path: str, content: bytes) -> None:
    hub.api("alice").upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=space, repo_type="space")


@pytest.fixture
def running(hub: Hub, space: str) -> str:
    """A static Space, which runs at once."""
    card = f"---\nsdk: static\ntitle: Shown on the card of {space.split('/')[1]}\n---\n"
    upload(hub, space, "README.md", card.encode())
    return space


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("ls", "--author", "alice", "--search", "{name}", "--format", "json"), "{name}"),
        (("ls", "--author", "alice", "--sort", "likes", "--limit", "1"), "alice"),
        (("ls", "{space}"), "README.md"),
        (("info", "{space}"), "{space}"),
        (("card", "{space}"), "Shown on the card"),
        (("search", "shown on card of {name}"), "{name}"),
        (("search", "shown {name}", "--sdk", "static", "--include-non-running", "--description"), "{name}"),
        (("wait", "{space}"), "RUNNING"),
        (("templates",), "examples/hello"),
        (("hardware",), "t4-small"),
        (("logs", "{space}"), ""),
        (("logs", "{space}", "--build"), ""),
        (("pause", "{space}"), ""),
        (("restart", "{space}"), ""),
        (("restart", "{space}", "--factory-reboot"), ""),
        (("settings", "{space}", "--sleep-time", "900"), ""),
        (("settings", "{space}", "--hardware", "a100-large"), ""),
        (("secrets", "add", "{space}", "-s", "A=1"), ""),
        (("secrets", "ls", "{space}"), ""),
        (("variables", "add", "{space}", "-e", "B=2"), ""),
        (("variables", "ls", "{space}"), ""),
        (("volumes", "ls", "{space}"), ""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_it_works(hub: Hub, running: str, arguments: tuple[str, ...], expected: str) -> None:
    named = {"space": running, "name": running.split("/")[1]}
    status, text = words(hub, "alice", "spaces", *(one.format(**named) for one in arguments))
    assert status == 0, text
    assert expected.format(**named) in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ("volumes", "set", "{space}", "-v", "hf://buckets/alice/b:/data"),
            "no volume alice/b. Make it first",
        ),
        (("volumes", "delete", "{space}", "--yes"), "has no volumes mounted"),
        (("dev-mode", "{space}"), "no dev mode"),
        (("ssh", "{space}"), "Dev Mode is disabled"),
        (("zero-gpu", "quota"), "no ZeroGPU"),
        (("settings", "{space}", "--hardware", "zero-a10g"), "no hardware 'zero-a10g'"),
        (("secrets", "delete", "{space}", "NOTHING", "--yes"), "no 'NOTHING'"),
        (("variables", "delete", "{space}", "NOTHING", "--yes"), "no 'NOTHING'"),
        (("info", "alice/nothing-here"), "not found"),
        (("logs", "alice/nothing-here"), "not found"),
        (("card", "alice/nothing-here"), "not found"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_it_says_why_not(hub: Hub, running: str, arguments: tuple[str, ...], expected: str) -> None:
    status, text = words(hub, "alice", "spaces", *(one.format(space=running) for one in arguments))
    assert (status != 0, expected in text) == (True, True), text


def test_secrets_and_variables_come_and_go(hub: Hub, running: str) -> None:
    for kind, option in (("secrets", "-s"), ("variables", "-e")):
        assert words(hub, "alice", "spaces", kind, "add", running, option, "KEY=v")[0] == 0
        listed = json.loads(hub.hf("alice", "spaces", kind, "ls", running, "--format", "json").stdout)
        assert [one["key"] for one in listed] == ["KEY"]
        assert words(hub, "alice", "spaces", kind, "delete", running, "KEY", "--yes")[0] == 0
        listed = json.loads(hub.hf("alice", "spaces", kind, "ls", running, "--format", "json").stdout)
        assert listed == []


def test_repos_are_moved_and_settled_by_the_command(hub: Hub, running: str) -> None:
    of_space = ("--repo-type", "space")
    assert words(hub, "alice", "repos", "move", running, f"{running}-b", *of_space)[0] == 0
    assert words(hub, "alice", "repos", "settings", f"{running}-b", "--private", *of_space)[0] == 0
    assert hub.api("alice").space_info(running).private
    status, text = words(hub, "alice", "repos", "tag", "create", running, "v1", *of_space)
    assert status == 0, text
    assert "v1" in words(hub, "alice", "repos", "tag", "ls", running, *of_space)[1]
    assert words(hub, "alice", "repos", "branch", "create", running, "side", *of_space)[0] == 0
    assert words(hub, "alice", "repos", "branch", "delete", running, "side", *of_space)[0] == 0


def test_discussions_are_turned_off_for_the_command_too(hub: Hub, running: str) -> None:
    for arguments in (("ls", running), ("create", running, "--title", "t"), ("info", running, "1")):
        status, text = words(hub, "alice", "discussions", *arguments, "--repo-type", "space")
        assert (status != 0, "are disabled for this repo" in text) == (True, True), text
