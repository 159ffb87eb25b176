"""Many write one repository at once, by the API and by git, and some of them die of it."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import random
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd
from huggingface_hub.errors import HfHubHTTPError
from pytest_django import Settings

from spaces.git import commits, locks, references, repository
from spaces.git.commits import Changes
from tests.hub_server import Hub

pytestmark = pytest.mark.long

WRITERS = 20


@pytest.fixture
def space(tmp_path: Path, settings: Settings) -> Any:
    settings.SPACEPORT_HOME = str(tmp_path)
    found = SimpleNamespace(pk=7)
    commits.create(found, author="alice", files={"README.md": b"# Hi"})  # type: ignore[arg-type]
    return found


@pytest.fixture
def hub_space(hub: Hub) -> str:
    name = f"alice/parallel-{random.randrange(10**9)}"  # noqa: S311
    hub.api("alice").create_repo(name, repo_type="space", space_sdk="gradio")
    return name


def commit(hub: Hub, space: str, number: int, parent: str | None = None) -> str | int:
    """The commit's id, or the status of its refusal."""
    try:
        done = hub.api("alice").create_commit(
            space,
            [CommitOperationAdd(f"{number}.txt", b"%d" % number), CommitOperationAdd("same.txt", b"same")],
            commit_message=f"number {number}",
            repo_type="space",
            parent_commit=parent,
        )
    except HfHubHTTPError as error:
        return error.response.status_code
    return str(done.oid)


def test_commits_at_once_all_arrive_and_the_row_names_the_last(hub: Hub, hub_space: str) -> None:
    with ThreadPoolExecutor(WRITERS) as pool:
        results = list(pool.map(lambda n: commit(hub, hub_space, n), range(WRITERS)))
    api = hub.api("alice")
    history = [c.commit_id for c in api.list_repo_commits(hub_space, repo_type="space")]
    assert all(isinstance(result, str) for result in results), results
    assert set(results) < set(history)
    assert {f"{n}.txt" for n in range(WRITERS)} < set(api.list_repo_files(hub_space, repo_type="space"))
    assert api.space_info(hub_space).sha == history[0]


def test_of_commits_on_the_same_parent_one_is_taken(hub: Hub, hub_space: str) -> None:
    parent = hub.api("alice").space_info(hub_space).sha
    with ThreadPoolExecutor(WRITERS) as pool:
        results = list(pool.map(lambda n: commit(hub, hub_space, n, parent), range(WRITERS)))
    assert results.count(412) == WRITERS - 1, results


def test_commits_and_pushes_at_once_lose_nothing(hub: Hub, hub_space: str, tmp_path: Path) -> None:
    def push(number: int) -> str:
        work = tmp_path / str(number)
        assert hub.git("clone", hub.remote(hub_space, "alice"), str(work)).returncode == 0
        (work / f"git-{number}.txt").write_text("x")
        hub.git("add", "-A", cwd=work)
        hub.git("commit", "-m", f"git {number}", cwd=work)
        return hub.git("rev-parse", "HEAD", cwd=work).stdout.strip() if pushed(work) else ""

    def pushed(work: Path) -> bool:
        return hub.git("push", cwd=work).returncode == 0

    with ThreadPoolExecutor(12) as pool:
        by_api = [pool.submit(commit, hub, hub_space, n) for n in range(8)]
        by_git = [pool.submit(push, n) for n in range(4)]
    api = hub.api("alice")
    history = {c.commit_id for c in api.list_repo_commits(hub_space, repo_type="space")}
    accepted = {one.result() for one in by_api}
    assert all(isinstance(one, str) for one in accepted), accepted
    assert accepted | {one.result() for one in by_git if one.result()} < history


def _commit_until_killed(said: Any, number: int) -> None:
    for n in range(10_000):
        changes = Changes(7)
        changes.add(f"{number}.txt", b"%d" % n)
        said.send(changes.commit(f"{number}: {n}", author="alice"))


def test_writers_that_are_killed_lose_no_commit_and_stop_nobody(space: Any) -> None:
    fork = multiprocessing.get_context("fork")
    heard: list[str] = []
    dice = random.Random(5)  # noqa: S311
    for round_ in range(12):
        here, there = fork.Pipe(duplex=False)
        writers = [fork.Process(target=_commit_until_killed, args=(there, n)) for n in range(3)]
        for writer in writers:
            writer.start()
        heard += [here.recv() for _ in range(dice.randrange(3, 12))]
        for writer in writers:
            os.kill(writer.pid or 0, signal.SIGKILL)
            writer.join()
        changes = Changes(7)
        changes.add("after.txt", b"%d" % round_)
        heard.append(changes.commit("after", author="bob"))
    history = {c.oid for c in repository.log(7, repository.head(space), limit=10_000)}
    assert set(heard) <= history


@pytest.mark.parametrize("left", ["refs/heads/main.lock", "packed-refs.lock", "refs/tags/v1.lock"])
def test_a_lock_that_a_dead_process_left_stops_nobody(space: Any, left: str) -> None:
    lock = repository.folder_of(7) / left
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    changes = Changes(7)
    changes.add("a.txt", b"a")
    head = changes.commit("a", author="alice")
    references.create_tag(7, "v1", head)
    references.create_branch(7, "dev", head)
    references.delete_branch(7, "dev")
    assert not lock.exists()
    assert repository.head(space) == head


def test_the_lock_of_a_living_writer_is_waited_for(space: Any) -> None:
    folder = repository.folder_of(7)
    lock = folder / "refs/heads/main.lock"
    changes = Changes(7)
    changes.add("a.txt", b"a")
    tried = threading.Event()

    def look(*arguments: Any) -> None:
        assert lock.exists()
        lock.unlink()
        tried.set()

    with (folder / locks.WRITERS).open("ab") as held, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(held, fcntl.LOCK_SH)
        lock.touch()
        patch.setattr("time.sleep", look)
        assert changes.commit("a", author="alice") == repository.head(space)
    assert tried.is_set()


def test_who_waits_too_long_for_a_push_is_refused_in_words(
    space: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = repository.folder_of(7)
    monkeypatch.setattr(locks, "WAIT_S", 0.0)
    changes = Changes(7)
    changes.add("a.txt", b"a")
    with (folder / locks.WRITERS).open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        (folder / "refs/heads/main.lock").touch()
        with pytest.raises(locks.Busy, match="try again"):
            changes.commit("a", author="alice")
    assert changes.commit("a", author="alice") == repository.head(space)


def test_a_push_goes_on_being_a_writer_when_the_web_process_has_died(space: Any) -> None:
    folder = repository.folder_of(7)
    lock = folder / "refs/heads/main.lock"
    with locks.writer(folder) as held:
        git = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[held])
    lock.touch()
    with locks.writer(folder):
        assert lock.exists()
    git.communicate()
    with locks.writer(folder):
        assert not lock.exists()
