"""Which pushes are taken into the process that runs, and when that process counts as of their build."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from hardware import nodes, replicas
from hardware.models import Replica
from hardware.runtimes.base import Artifact
from queueing.routes import App
from spaces import lifecycle, publishing
from spaces.api.listing import runtime
from spaces.building import hot_reload, versions
from spaces.building.hot_reload import HALF, Outcome
from spaces.git import commits
from spaces.lfs.pointers import Pointer
from spaces.models import Build, Sdk, Space, Stage
from tests.people import People
from tests.spaces.pages import folks, space_of
from tests.spaces.test_versions import serve

__all__ = ["folks"]
pytestmark = pytest.mark.django_db(transaction=True)

CARD = b"---\nsdk: gradio\n---\n"


@pytest.fixture
def space(folks: People, monkeypatch: pytest.MonkeyPatch) -> Iterator[Space]:
    """It runs its head, and its owner has turned hot reload on."""
    monkeypatch.setattr(publishing, "_app_of", lambda *_: App())
    nodes.register("here", {"cpu": False}, "process")
    space = space_of(folks)
    space.sdk, space.hot_reload = Sdk.GRADIO, True
    space.sha = commit(space, {"README.md": CARD, "app.py": b"1", "a.bin": b"\xff"})
    space.save()
    built(space)
    serve(space)
    yield space
    publishing.withdraw(space)


def built(space: Space) -> Build:
    """Its newest build, or one of its head, succeeds."""
    row = space.builds.filter(status=Build.Status.QUEUED).first() or space.builds.create(sha=space.sha)
    row.status = Build.Status.SUCCEEDED
    row.artifact = Artifact(runtime="process", code=row.sha).to_json()
    row.save()
    lifecycle.built(row, Artifact.from_json(row.artifact))
    space.refresh_from_db()
    return row


def commit(space: Space, files: dict[str, bytes], without: str = "") -> str:
    changes = commits.Changes(space.pk)
    for path, content in files.items():
        changes.add(path, content)
    if without:
        changes.delete(without)
    return changes.commit("edit", author="bob")


def push(space: Space, files: dict[str, bytes] | None = None, *, without: str = "") -> str:
    sha = commit(space, files or {"app.py": b"2"}, without)
    lifecycle.pushed(space)
    space.refresh_from_db()
    return sha


def answering(monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> list[dict[str, str]]:
    """The launcher answers so; the files that it was sent."""
    sent = []

    async def ask(_: str, files: dict[str, str]) -> Outcome:
        sent.append(files)
        return outcome

    monkeypatch.setattr(hot_reload, "_send", ask)
    return sent


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    return answering(monkeypatch, Outcome(status="reloaded", operations=[{"kind": "ui", "updated": False}]))


def newest(space: Space) -> int:
    """The replica that is to serve."""
    row = replicas.candidate(space.pk)
    assert row is not None
    return row.pk


def serving(space: Space) -> Replica:
    space.refresh_from_db()
    assert space.replica is not None
    return space.replica


def test_the_process_takes_the_code_and_then_counts_as_of_its_build(
    space: Space, sent: list[dict[str, str]]
) -> None:
    before = serving(space).pk
    sha = push(space)
    assert sent == [{"app.py": "2"}]
    assert space.stage == Stage.RUNNING_BUILDING
    told = runtime(space, writer=True)
    assert (told["sha"], told["hotReloading"]["status"]) == (sha, "created"), "visitors meet it already"
    row = built(space)
    assert (serving(space).pk, serving(space).build_id) == (before, row.pk)
    assert space.stage == Stage.RUNNING
    assert replicas.spec_of(before).artifact.code == sha, "its next start runs the new code"


def test_only_what_is_live_already_is_built_later(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    ordered: list[float] = []
    monkeypatch.setattr(lifecycle, "send_build", lambda _row, after_s: ordered.append(after_s))
    answering(monkeypatch, Outcome(status="reloaded"))
    push(space, {"app.py": b"2"})
    answering(monkeypatch, Outcome(status="half"))
    push(space, {"app.py": b"3"})
    push(space, {"app.py": b"4"})
    assert ordered == [lifecycle.BUILT_LATER_S, 0, 0]


def test_edits_follow_each_other_faster_than_builds(space: Space, sent: list[dict[str, str]]) -> None:
    before = serving(space).pk
    push(space, {"app.py": b"2"})
    push(space, {"app.py": b"3"})
    row = built(space)
    assert sent == [{"app.py": "2"}, {"app.py": "3"}]
    assert (serving(space).pk, serving(space).build_id) == (before, row.pk)


@pytest.mark.parametrize(
    ("files", "without"),
    [
        ({"README.md": CARD + b"# More"}, ""),
        ({"app.py": b"2", "README.md": CARD + b"# More"}, ""),
        ({"app.py": b"2", "requirements.txt": b"numpy"}, ""),
        ({"new.py": b"2"}, ""),
        ({"app.py": b"2"}, "a.bin"),
        ({"app.py": b"\xff"}, ""),
        ({"app.py": Pointer("a" * 64, 7).text}, ""),
        ({"app.py": b"#" * (hot_reload.MOST_BYTES + 1)}, ""),
    ],
    ids=[
        "the card",
        "code and card",
        "requirements",
        "a new file",
        "one less",
        "no text",
        "a large file",
        "too large",
    ],
)
def test_anything_but_changed_code_is_rolled_out(
    space: Space, sent: list[dict[str, str]], files: dict[str, bytes], without: str
) -> None:
    before = serving(space).pk
    push(space, files, without=without)
    built(space)
    assert sent == []
    assert newest(space) != before


@pytest.mark.parametrize("status", ["half", "untouched"])
def test_what_the_app_did_not_take_is_rolled_out(
    space: Space, monkeypatch: pytest.MonkeyPatch, status: Any
) -> None:
    sent = answering(monkeypatch, Outcome(status=status, why="The page changed."))
    before = serving(space).pk
    push(space)
    assert runtime(space, writer=True)["sha"] != space.sha
    built(space)
    assert newest(space) != before
    assert len(sent) == 1


def test_a_process_with_some_new_code_is_neither_reloaded_again_nor_gone_back_to(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = answering(monkeypatch, Outcome(status="half"))
    mixed, old = serving(space).pk, space.sha
    push(space)
    push(space, {"app.py": b"3"})
    assert len(sent) == 1
    built(space)
    serve(space)
    versions.roll_back(space, old)
    assert Replica.objects.get(pk=mixed).reloaded_to == HALF
    assert newest(space) != mixed


def test_one_that_was_started_again_before_the_build_ended_is_replaced(
    space: Space, sent: list[dict[str, str]]
) -> None:
    before = serving(space).pk
    push(space)
    Replica.objects.filter(pk=before).update(reloaded_to="")  # as the agent does when it is ready again
    built(space)
    assert newest(space) != before


def test_one_that_is_to_have_other_variables_too_is_replaced(
    space: Space, sent: list[dict[str, str]]
) -> None:
    before = serving(space).pk
    push(space)
    space.variables.create(key="A", value="1")
    built(space)
    assert newest(space) != before


def test_where_the_setting_is_off_a_push_is_rolled_out(space: Space, sent: list[dict[str, str]]) -> None:
    space.hot_reload = False
    space.save()
    before = serving(space).pk
    push(space)
    built(space)
    assert sent == []
    assert newest(space) != before


@pytest.mark.parametrize(
    "answer",
    [
        b"no JSON",
        b'{"status": "fine"}',
        rb'{"status": "reloaded", "operations": [{"kind": "\u0000"}]}',
        rb'{"status": "half", "why": "\ud800"}',
        b'{"status": "half", "why": "' + b"a" * hot_reload.OUTCOME_BYTES + b'"}',
    ],
    ids=["no JSON", "an unknown word", "a NUL", "half a character", "endless"],
)
def test_whatever_the_app_answers_the_push_is_taken(space: Space, answer: bytes) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Replica.objects.update(address=f"127.0.0.1:{server.server_port}")
        threading.Thread(target=server.handle_request).start()
        space.refresh_from_db()
        push(space)
    assert space.stage == Stage.RUNNING_BUILDING
    built(space)
    assert space.sha in {build.sha for build in space.builds.filter(status=Build.Status.SUCCEEDED)}
