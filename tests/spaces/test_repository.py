"""Repositories without a checkout: paths, commits, histories, and what leaves them for a build."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dulwich.object_store import BaseObjectStore
from dulwich.objects import Blob, Tree
from dulwich.repo import Repo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from spaces.git import bounds, commits, objects, repository
from spaces.git.commits import Changes, Stale
from spaces.git.export import export
from spaces.git.repository import UnknownRevision
from spaces.git.repository_paths import BadPath, check_path

PATHS = st.text(alphabet=st.sampled_from("a.b/\\-~ gitGIT\0\nü🚀"), max_size=40)
FUZZ = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))


@pytest.fixture
def space(settings: Settings, tmp_path: Path) -> Any:
    settings.SPACEPORT_HOME = tmp_path
    found = SimpleNamespace(pk=7)
    commits.create(found, author="alice", files={"README.md": b"# Hi", "d/a.txt": b"1"})  # type: ignore[arg-type]
    return found


def commit(**files: bytes) -> str:
    changes = Changes(7)
    for path, content in files.items():
        changes.add(path.replace("__", "/"), content)
    return changes.commit("change", author="alice")


def paths(space: Any) -> list[str]:
    entries = repository.tree(7, repository.head(space), recursive=True) or []
    return [entry.path for entry in entries if entry.is_file]


@FUZZ
@given(PATHS)
def test_a_path_is_inside_or_bad(path: str) -> None:
    try:
        checked = check_path(path)
    except BadPath:
        return
    resolved = Path("/repo").joinpath(checked)
    assert ".." not in resolved.parts
    assert resolved.is_relative_to("/repo")
    assert resolved != Path("/repo")
    assert not any(part.lower() == ".git" for part in resolved.parts)


@pytest.mark.parametrize(
    "path", ["a", "a/b.py", ".gitignore", ".github/x", "git", "a b", "ünï/🚀.txt", "..a", "a..", "~"]
)
def test_good_paths(path: str) -> None:
    assert check_path(path) == path


def test_a_commit_replaces_files_by_folders_and_back(space: Any) -> None:
    commit(d=b"now a file")
    assert paths(space) == ["README.md", "d"]
    commit(d__x__y=b"deep")
    assert paths(space) == ["README.md", "d/x/y"]


def test_a_commit_without_a_change_is_none(space: Any) -> None:
    before = repository.head(space)
    assert commit(d__a__txt=b"") != before
    now = repository.head(space)
    again = Changes(7)
    again.add("README.md", b"# Hi")
    assert again.commit("same", author="alice") == now


def test_deleting(space: Any) -> None:
    changes = Changes(7)
    changes.delete("nothing")
    with pytest.raises(KeyError, match="nothing"):
        changes.commit("x", author="alice")
    changes = Changes(7)
    changes.delete_folder("d/")
    changes.delete("README.md")
    changes.commit("x", author="alice")
    assert paths(space) == []


def test_who_comes_late_is_told(space: Any) -> None:
    before = repository.head(space)
    commit(x=b"1")
    with pytest.raises(Stale):
        Changes(7).commit("late", author="alice", parent=before)
    with pytest.raises(UnknownRevision):
        Changes(7).commit("nowhere", author="alice", branch="other")


def test_histories_and_revisions(space: Any) -> None:
    first = repository.head(space)
    second = commit(x=b"1")
    assert [c.oid for c in repository.log(7, second)] == [second, first]
    assert [c.oid for c in repository.log(7, second, skip=1, limit=1)] == [first]
    for revision in ("main", "refs/heads/main", second, second[:7]):
        assert repository.resolve(7, revision) == second
    tree = subprocess.run(
        ["git", "rev-parse", f"{second}^{{tree}}"],
        cwd=repository.folder_of(7),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    for revision in (
        "",
        "x",
        "f" * 40,
        "0000000",
        "../config",
        "refs/heads",
        "HEAD",
        "a\0b",
        "ü",
        "\ud800",
        tree,
    ):
        with pytest.raises(UnknownRevision):
            repository.resolve(7, revision)


def test_odd_authors_and_messages_make_a_sound_repository(space: Any) -> None:
    changes = Changes(7)
    changes.add("x", b"1")
    changes.commit("ünï\n\nlong\0", author="a <b>\nparent x")
    done = subprocess.run(
        ["git", "fsck", "--strict"], cwd=repository.folder_of(7), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_links_do_not_leave_for_a_build(space: Any, tmp_path: Path) -> None:
    work = tmp_path / "work"
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "clone", "-q", repository.folder_of(7), work], check=True)
    (work / "link").symlink_to("/etc/passwd")
    (work / "folder").symlink_to("/etc")
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    subprocess.run([*git, "add", "-A"], cwd=work, check=True)
    subprocess.run([*git, "commit", "-qm", "x"], cwd=work, check=True)
    subprocess.run([*git, "push", "-q", "origin", "HEAD:main"], cwd=work, check=True)
    out = tmp_path / "out"
    export(space, repository.head(space), out)
    assert not (out / "link").exists()
    assert not (out / "folder").exists()
    assert (out / "run.sh").stat().st_mode & 0o111
    assert (out / "d" / "a.txt").read_bytes() == b"1"
    assert repository.read_blob(7, repository.head(space), "link") == b"/etc/passwd"
    assert repository.find(7, repository.head(space), "folder/passwd") is None


async def test_without_a_git_on_the_machine_files_are_read_all_the_same(
    space: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(objects, "installed", lambda: False)
    monkeypatch.setattr(repository, "_sizes", {})
    head = repository.head(space)
    found = repository.find(7, head, "d/a.txt")
    assert found is not None
    assert (found.size, repository.read_blob(7, head, "d/a.txt")) == (1, b"1")
    assert [chunk async for chunk in objects.stream(repository.folder_of(7), found.oid, 0, 1, "a")] == [b"1"]
    export(space, head, tmp_path / "out")
    assert (tmp_path / "out" / "README.md").read_bytes() == b"# Hi"


def test_a_file_and_a_folder_of_one_name_in_one_commit_are_refused(space: Any) -> None:
    with pytest.raises(BadPath, match="a file and a folder"):
        commit(x=b"1", x__y=b"2")
    assert commit(d=b"instead of the folder")
    assert paths(space) == ["README.md", "d"]
    assert commit(d__b=b"instead of the file")
    assert paths(space) == ["README.md", "d/b"]


def test_more_files_than_a_space_may_have_are_refused(space: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "PATHS", 5)
    assert commit(a=b"1", b=b"2")
    with pytest.raises(bounds.TooMuch, match="more than 5 files"):
        commit(c=b"3", e=b"4")


def test_the_id_of_a_large_file_is_no_revision_and_is_not_looked_into(
    space: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = repository.find(7, repository.head(space), "d/a.txt")
    assert found is not None
    monkeypatch.setattr(bounds, "OBJECT_BYTES", 0)
    with repository.opened(7) as repo, monkeypatch.context() as patch:
        patch.setattr(type(repo), "__getitem__", None)
        assert not repository._is_commit(7, repo, found.oid)


def test_a_tag_of_a_file_is_no_revision(space: Any) -> None:
    found = repository.find(7, repository.head(space), "d/a.txt")
    assert found is not None
    subprocess.run(["git", f"--git-dir={repository.folder_of(7)}", "tag", "odd", found.oid], check=True)
    with pytest.raises(UnknownRevision):
        repository.resolve(7, "odd")


def test_sizes_are_right_when_those_remembered_are_forgotten(
    space: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sizes() -> dict[str, int]:
        entries = repository.tree(7, repository.head(space), recursive=True) or []
        return {entry.path: entry.size for entry in entries if entry.is_file}

    assert sizes() == {"README.md": 4, "d/a.txt": 1}
    monkeypatch.setattr(repository, "SIZES_REMEMBERED", 0)
    changes = Changes(7)
    changes.add("new.txt", b"123")
    changes.commit("new", author="alice")
    assert sizes() == {"README.md": 4, "d/a.txt": 1, "new.txt": 3}


def test_a_short_id_is_looked_for_without_a_walk_through_the_history(
    space: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_id = commit(new=b"1")
    monkeypatch.setattr(Repo, "get_walker", None)
    assert repository.resolve(7, commit_id[:7]) == commit_id
    [blob] = repository.find_all(7, commit_id, ["new"])
    for unknown in ("0123456", blob.oid[:10], blob.oid):
        with pytest.raises(UnknownRevision):
            repository.resolve(7, unknown)


def test_many_paths_are_found_with_one_look_at_each_folder(
    space: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_id = commit(**{f"d__{n}": b"1" * n for n in range(50)})
    opened, read = [], []
    init, load = Repo.__init__, Repo.__getitem__

    def noted(repo: Repo, *arguments: Any, **named: Any) -> None:
        opened.append(repo)
        init(repo, *arguments, **named)

    def loaded(repo: Repo, name: Any) -> Any:
        found = load(repo, name)
        read.extend([found.id] if isinstance(found, Tree) else [])
        return found

    monkeypatch.setattr(Repo, "__init__", noted)
    monkeypatch.setattr(Repo, "__getitem__", loaded)
    found = repository.find_all(7, commit_id, [*(f"d/{n}" for n in range(50)), "nothing", "d", "d/1/x"])
    assert [(e.path, e.size) for e in found] == [*((f"d/{n}", n) for n in range(50)), ("d", 0)]
    assert len(opened) == 1
    assert len(read) == 2


def test_a_file_is_not_read_to_find_that_nothing_lies_below_it(
    space: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = repository.head(space)
    read = []
    load = BaseObjectStore.__getitem__

    def loaded(store: BaseObjectStore, oid: Any) -> Any:
        found = load(store, oid)
        read.append(type(found))
        return found

    monkeypatch.setattr(BaseObjectStore, "__getitem__", loaded)
    assert repository.find(7, head, "d/a.txt/x") is None
    assert read
    assert Blob not in read


def test_commits_that_are_skipped_are_not_read(space: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [commit(**{f"f{n}": b"1"}) for n in range(30)]
    all_of_them = [one.oid for one in repository.log(7, ids[-1], limit=40)]
    read, load = [], Repo.__getitem__

    def loaded(repo: Repo, name: Any) -> Any:
        read.append(name)
        return load(repo, name)

    monkeypatch.setattr(Repo, "__getitem__", loaded)
    monkeypatch.setattr(Repo, "get_walker", None)
    assert [one.oid for one in repository.log(7, ids[-1], skip=20, limit=5)] == all_of_them[20:25]
    assert len(read) == 5
