"""The unmodified `huggingface_hub` against the deploy API: who am I, Spaces, files, history, refusals."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi
from huggingface_hub.errors import (
    BadRequestError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.hub_server import LARGE_LIMIT, UPLOAD_LIMIT, Hub

Make = Callable[..., str]
Operation = CommitOperationAdd | CommitOperationCopy | CommitOperationDelete


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return hub.api("alice")


def upload(api: HfApi, space: str, path: str, content: bytes | Path, **options: object) -> str:
    """One file in one commit; its id."""
    done = api.upload_file(
        path_or_fileobj=content, path_in_repo=path, repo_id=space, repo_type="space", **options  # type: ignore[call-overload]
    )  # fmt: skip
    return str(done.oid)


def test_whoami_names_the_user_the_organizations_and_the_token(hub: Hub, api: HfApi) -> None:
    me = api.whoami()
    assert (me["name"], me["type"]) == ("alice", "user")
    assert "lab" in [o["name"] for o in me["orgs"]]  # other tests make more
    assert me["auth"]["accessToken"] == {"displayName": "tests", "role": "write"}
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        HfApi(endpoint=hub.url, token="hf_" + "x" * 34).whoami()


def test_a_created_space_is_there_with_a_first_commit(hub: Hub, api: HfApi, space: str) -> None:
    assert api.repo_exists(space, repo_type="space")
    found = api.space_info(space, files_metadata=True)
    assert (found.id, found.author, found.sdk, found.private) == (space, "alice", "gradio", False)
    assert found.sha is not None
    assert len(found.sha) == 40
    assert found.host == f"{hub.url}/run/{space}/"
    assert found.subdomain == space.replace("/", "-")
    assert {s.rfilename for s in found.siblings or []} == {"README.md", ".gitattributes"}
    assert found.runtime is not None
    assert found.runtime.stage == "NO_APP_FILE"
    # The Hub's own LFS rules would make git-lfs expect pointers.
    attributes = api.hf_hub_download(space, ".gitattributes", repo_type="space")
    assert "lfs" not in Path(attributes).read_text()


def test_creating_it_again_is_a_conflict_unless_that_is_fine(api: HfApi, space: str) -> None:
    with pytest.raises(HfHubHTTPError, match="already created") as error:
        api.create_repo(space, repo_type="space", space_sdk="docker")
    assert error.value.response.status_code == 409
    again = api.create_repo(
        space.upper().replace("ALICE", "alice"), repo_type="space", space_sdk="docker", exist_ok=True
    )
    assert again.repo_id == space
    assert api.space_info(space).sdk == "gradio"


def test_create_takes_hardware_sleep_time_secrets_and_variables(
    hub: Hub, api: HfApi, new_space: Make
) -> None:
    space = new_space(
        visibility="private",
        space_hardware="t4-small",
        space_sleep_time=600,
        space_secrets=[{"key": "KEY", "value": "canary-1234", "description": "of a service"}],
        space_variables=[{"key": "MODE", "value": "fast"}],
    )
    runtime = api.get_space_runtime(space)
    assert (runtime.requested_hardware, runtime.hardware, runtime.sleep_time) == ("t4-small", None, 600)
    assert api.space_info(space).private
    assert api.get_space_variables(space)["MODE"].value == "fast"
    assert list(api.get_space_secrets(space)) == ["KEY"]
    raw = hub.call("GET", f"/api/spaces/{space}/secrets", "alice").text
    stored = hub.sql("select value from spaces_secret where key = 'KEY'")
    assert "canary-1234" not in raw
    assert "canary-1234" not in str(stored)


def test_a_name_without_an_owner_is_ones_own(api: HfApi) -> None:
    assert api.create_repo("bare-name", repo_type="space", space_sdk="static").repo_id == "alice/bare-name"


@pytest.mark.parametrize("name", ["a" * 97, "-x", "x.git", "x y", "ünï", "a--b", "a..b", "", "."])
def test_bad_names_are_refused_with_a_reason(hub: Hub, name: str) -> None:
    answer = hub.call(
        "POST", "/api/repos/create", "alice", json={"name": name, "type": "space", "sdk": "gradio"}
    )
    assert answer.status_code == 400
    assert "name" in answer.headers["X-Error-Message"]


def test_delete_takes_all_of_it(hub: Hub, api: HfApi, new_space: Make) -> None:
    space = new_space(space_secrets=[{"key": "K", "value": "v"}])
    (pk,) = hub.sql("select id from spaces_space where name = %s", space.split("/")[1])[0]
    assert (hub.home / "repositories" / f"{pk}.git").exists()
    api.delete_repo(space, repo_type="space")
    assert not api.repo_exists(space, repo_type="space")
    assert not (hub.home / "repositories" / f"{pk}.git").exists()
    assert hub.sql("select 1 from spaces_secret where space_id = %s", pk) == []
    api.delete_repo(space, repo_type="space", missing_ok=True)
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo(space, repo_type="space")


# --- files ------------------------------------------------------------------------------------------


def test_files_come_back_as_they_were_sent(api: HfApi, space: str, tmp_path: Path) -> None:
    contents = {
        "app.py": b"print('hi')\n",
        "data/big.bin": os.urandom(2_000_000),
        "data/leer": b"",
        "with space/ünï #1%.txt": "später".encode(),
    }
    for path, content in contents.items():
        (tmp_path / "in" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / path).write_bytes(content)
    api.upload_folder(repo_id=space, repo_type="space", folder_path=tmp_path / "in")
    assert set(contents) <= set(api.list_repo_files(space, repo_type="space"))
    for path, content in contents.items():
        got = api.hf_hub_download(space, path, repo_type="space", cache_dir=tmp_path / "cache")
        assert Path(got).read_bytes() == content
    api.snapshot_download(space, repo_type="space", local_dir=tmp_path / "out", cache_dir=tmp_path / "cache2")
    for path, content in contents.items():
        assert (tmp_path / "out" / path).read_bytes() == content


def test_what_is_unchanged_is_not_sent_again(api: HfApi, space: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("print(1)")
    first = api.upload_folder(repo_id=space, repo_type="space", folder_path=tmp_path)
    before = len(api.list_repo_commits(space, repo_type="space"))
    again = api.upload_folder(repo_id=space, repo_type="space", folder_path=tmp_path)
    assert again.oid == first.oid
    assert len(api.list_repo_commits(space, repo_type="space")) == before


def test_hundreds_of_files_arrive_in_several_commits(api: HfApi, space: str, tmp_path: Path) -> None:
    for n in range(600):
        (tmp_path / f"f{n:03}.txt").write_text(str(n))
    api.upload_folder(repo_id=space, repo_type="space", folder_path=tmp_path)
    assert len(api.list_repo_files(space, repo_type="space")) == 602
    assert len(api.list_repo_commits(space, repo_type="space")) >= 2


def test_trees_longer_than_a_page_are_listed_whole(api: HfApi, space: str) -> None:
    operations = [CommitOperationAdd(f"d/{n:04}", str(n).encode()) for n in range(1100)]
    api.create_commit(space, operations, commit_message="many", repo_type="space")
    assert len(api.list_repo_files(space, repo_type="space")) == 1102


def test_files_and_folders_are_deleted(api: HfApi, space: str) -> None:
    operations = [CommitOperationAdd(p, b"x") for p in ("a/1", "a/2", "b", "c")]
    api.create_commit(space, operations, commit_message="add", repo_type="space")
    api.delete_file("b", space, repo_type="space")
    api.delete_folder("a", space, repo_type="space")
    assert set(api.list_repo_files(space, repo_type="space")) == {"c", "README.md", ".gitattributes"}
    with pytest.raises(RemoteEntryNotFoundError, match="doesn't exist"):
        api.delete_file("b", space, repo_type="space")


def test_a_folder_may_be_deleted_as_a_file(api: HfApi, space: str) -> None:
    operations: list[Operation] = [CommitOperationAdd(p, b"x") for p in ("a/b/1", "a/2", "ab")]
    api.create_commit(space, operations, commit_message="add", repo_type="space")
    both: list[Operation] = [CommitOperationDelete("a"), CommitOperationDelete("a/2")]
    api.create_commit(space, both, commit_message="delete", repo_type="space")
    assert set(api.list_repo_files(space, repo_type="space")) == {"ab", "README.md", ".gitattributes"}
    with pytest.raises(RemoteEntryNotFoundError, match="doesn't exist: a"):
        api.delete_file("a", space, repo_type="space")


def test_one_commit_adds_and_deletes(api: HfApi, space: str) -> None:
    upload(api, space, "old.py", b"1")
    operations: list[Operation] = [CommitOperationAdd("new.py", b"2"), CommitOperationDelete("old.py")]
    done = api.create_commit(
        space, operations, commit_message="move", commit_description="why", repo_type="space"
    )
    newest = api.list_repo_commits(space, repo_type="space")[0]
    assert (newest.commit_id, newest.title, newest.authors) == (done.oid, "move", ["alice"])
    assert "why" in newest.message
    assert newest.formatted_title is None
    assert api.list_repo_commits(space, repo_type="space", formatted=True)[0].formatted_title == "move"
    assert set(api.list_repo_files(space, repo_type="space")) == {"new.py", "README.md", ".gitattributes"}


def test_paths_info_tells_what_exists(api: HfApi, space: str) -> None:
    upload(api, space, "d/x.txt", b"hello")
    found = api.get_paths_info(space, ["d/x.txt", "d", "nothing"], repo_type="space")
    assert [f.path for f in found] == ["d/x.txt", "d"]
    assert found[0].size == 5  # type: ignore[union-attr]
    assert found[0].blob_id == hashlib.sha1(b"blob 5\0hello").hexdigest()  # type: ignore[union-attr]  # noqa: S324


def test_each_file_names_the_commit_that_last_changed_it(api: HfApi, space: str) -> None:
    first = upload(api, space, "one.txt", b"1")
    second = upload(api, space, "two/two.txt", b"2")
    entries = api.list_repo_tree(space, repo_type="space", expand=True)
    last = {e.path: e.last_commit.oid for e in entries if e.last_commit}
    assert last["one.txt"] == first
    assert last["two"] == second


def test_a_stale_parent_is_refused(api: HfApi, space: str) -> None:
    before = upload(api, space, "a", b"1")
    upload(api, space, "a", b"2")
    with pytest.raises(HfHubHTTPError, match="The branch was updated since you opened this page") as error:
        upload(api, space, "a", b"3", parent_commit=before)
    assert error.value.response.status_code == 412


def test_old_versions_stay_readable(api: HfApi, space: str, tmp_path: Path) -> None:
    first = upload(api, space, "a.txt", b"one")
    upload(api, space, "a.txt", b"two")
    for revision, text in ((first, "one"), (first[:8], "one"), ("main", "two"), ("refs/heads/main", "two")):
        got = api.hf_hub_download(space, "a.txt", repo_type="space", revision=revision, cache_dir=tmp_path)
        assert Path(got).read_text() == text
    assert api.space_info(space, revision=first).sha == first


def test_branches_and_tags(api: HfApi, space: str, tmp_path: Path) -> None:
    first = upload(api, space, "a.txt", b"one")
    api.create_branch(space, branch="feat/x", repo_type="space")
    with pytest.raises(HfHubHTTPError) as error:
        api.create_branch(space, branch="feat/x", repo_type="space")
    assert error.value.response.status_code == 409
    api.create_branch(space, branch="feat/x", repo_type="space", exist_ok=True)
    upload(api, space, "a.txt", b"on a branch", revision="feat/x")
    api.create_tag(space, tag="v1", repo_type="space")
    refs = api.list_repo_refs(space, repo_type="space", include_pull_requests=True)
    assert {b.name for b in refs.branches} == {"main", "feat/x"}
    assert [(t.name, t.target_commit) for t in refs.tags] == [("v1", first)]
    for revision, text in (("feat/x", "on a branch"), ("v1", "one"), ("main", "one")):
        got = api.hf_hub_download(space, "a.txt", repo_type="space", revision=revision, cache_dir=tmp_path)
        assert Path(got).read_text() == text
    assert api.space_info(space).sha == first
    api.delete_tag(space, tag="v1", repo_type="space")
    api.delete_branch(space, branch="feat/x", repo_type="space")
    refs = api.list_repo_refs(space, repo_type="space")
    assert ([b.name for b in refs.branches], refs.tags) == (["main"], [])
    with pytest.raises(HfHubHTTPError, match="main"):
        api.delete_branch(space, branch="main", repo_type="space")
    with pytest.raises(RevisionNotFoundError):
        api.create_branch(space, branch="y", revision="nowhere", repo_type="space")


def test_what_is_not_there_raises_the_clients_own_errors(api: HfApi, space: str, tmp_path: Path) -> None:
    with pytest.raises(RepositoryNotFoundError):
        api.space_info("alice/nothing-here")
    with pytest.raises(RevisionNotFoundError):
        api.list_repo_files(space, repo_type="space", revision="nowhere")
    with pytest.raises(RemoteEntryNotFoundError):
        api.hf_hub_download(space, "nothing.txt", repo_type="space", cache_dir=tmp_path)
    with pytest.raises(RevisionNotFoundError):
        upload(api, space, "a", b"1", revision="nowhere")
    assert not api.file_exists(space, "nothing.txt", repo_type="space")
    assert api.revision_exists(space, "main", repo_type="space")
    assert not api.revision_exists(space, "nowhere", repo_type="space")


def test_pull_requests_are_refused_not_committed(api: HfApi, space: str) -> None:
    before = api.space_info(space).sha
    with pytest.raises(HfHubHTTPError, match="Pull requests are disabled for this repo"):
        upload(api, space, "a", b"1", create_pr=True)
    assert api.space_info(space).sha == before


# --- cards ------------------------------------------------------------------------------------------


def test_the_card_decides_sdk_and_title(hub: Hub, api: HfApi, space: str) -> None:
    text = "---\ntitle: My thing\nemoji: 🚀\nsdk: static\npython_version: 3.10\nown_key: [1, 2]\n---\n# Hello"
    upload(api, space, "README.md", text.encode())
    found = api.space_info(space)
    assert found.sdk == "static"
    assert found.runtime is not None
    assert found.runtime.stage == "RUNNING"
    assert found.card_data is not None
    assert (found.card_data["python_version"], found.card_data["own_key"]) == ("3.10", [1, 2])
    # Asks validate-yaml without a token and for plain text; knows its endpoint from the environment only.
    change = (
        "from huggingface_hub import metadata_update; "
        f"metadata_update({space!r}, {{'title': 'Other'}}, repo_type='space', overwrite=True)"
    )
    subprocess.run([sys.executable, "-c", change], env=hub.client_env("alice"), check=True, timeout=60)
    assert api.space_info(space).card_data["title"] == "Other"  # type: ignore[index]


def test_a_bad_card_is_told_with_its_line(hub: Hub, api: HfApi, space: str) -> None:
    with pytest.raises((BadRequestError, ValueError), match="line 3"):
        upload(api, space, "README.md", b"---\nsdk: gradio\ntitle: [\n---\n")
    with pytest.raises((BadRequestError, ValueError), match="gradio, docker, static"):
        upload(api, space, "README.md", b"---\nsdk: streamlit\n---\n")


def test_a_card_without_metadata_is_warned_of(api: HfApi, space: str) -> None:
    for text in (b"# A demo", b"---\n---\n# A demo"):
        with pytest.warns(UserWarning, match="empty or missing yaml metadata"):
            upload(api, space, "README.md", text)
    assert api.space_info(space).sdk == "gradio"


# --- over the limit, outside the repository ---------------------------------------------------------


def test_a_file_over_the_limit_is_refused_before_it_is_sent(api: HfApi, space: str, tmp_path: Path) -> None:
    with (tmp_path / "big.bin").open("wb") as file:
        file.truncate(LARGE_LIMIT + 1)
    with pytest.raises(HfHubHTTPError, match=f"'big.bin'.*{LARGE_LIMIT + 1:,}.*{LARGE_LIMIT:,}"):
        upload(api, space, "big.bin", tmp_path / "big.bin")
    assert "big.bin" not in api.list_repo_files(space, repo_type="space")
    upload(api, space, "fits.bin", b"x" * UPLOAD_LIMIT)


def test_read_only_tokens_and_strangers_change_nothing(hub: Hub, space: str, new_space: Make) -> None:
    reading = hub.api("alice_read")
    assert reading.space_info(space).id == space
    with pytest.raises(HfHubHTTPError, match="may only read"):
        upload(reading, space, "a", b"1")
    with pytest.raises(HfHubHTTPError, match="may only read"):
        reading.create_repo("alice/other", repo_type="space", space_sdk="gradio")
    with pytest.raises(HfHubHTTPError, match="no write access"):
        upload(hub.api("charlie"), space, "a", b"1")
    with pytest.raises(HfHubHTTPError, match="no rights to create"):
        hub.api("charlie").create_repo("alice/mine", repo_type="space", space_sdk="gradio")
    with pytest.raises(HfHubHTTPError, match="Invalid username or password"):
        upload(hub.api(""), space, "a", b"1")


def test_private_spaces_are_hidden_from_strangers(hub: Hub, new_space: Make) -> None:
    space = new_space("alice", owner="lab", visibility="private")
    for who in ("bob", "reader"):
        assert hub.api(who).space_info(space).private
    upload(hub.api("bob"), space, "a", b"1")
    with pytest.raises(HfHubHTTPError, match="no write access"):
        upload(hub.api("reader"), space, "a", b"2")
    for who in ("charlie", ""):
        assert not hub.api(who).repo_exists(space, repo_type="space")
        assert space not in {s.id for s in hub.api(who).list_spaces()}
        with pytest.raises(RepositoryNotFoundError):
            hub.api(who).auth_check(space, repo_type="space")
    hub.api("alice").update_repo_settings(space, repo_type="space", visibility="public")
    assert not hub.api("charlie").space_info(space).private


# --- lists ------------------------------------------------------------------------------------------


def test_spaces_are_listed_searched_and_paged(hub: Hub, new_space: Make) -> None:
    mine = [new_space("bob") for _ in range(3)]
    listed = [s.id for s in hub.api("").list_spaces(author="bob")]
    assert set(mine) <= set(listed)
    assert [s.id for s in hub.api("").list_spaces(search=mine[0])] == [mine[0]]
    first = hub.call("GET", "/api/spaces?author=bob&limit=2")
    assert len(first.json()) == 2
    assert first.links["next"]["url"].startswith(hub.url)
    assert list(hub.api("bob").list_spaces(search="no such Space at all")) == []
    assert set(mine) <= {r.id for r in hub.api("bob").list_user_repos()}


def test_duplicate_copies_files_and_settings_but_no_secret(hub: Hub, api: HfApi, new_space: Make) -> None:
    space = new_space(
        space_secrets=[{"key": "S", "value": "v"}], space_variables=[{"key": "V", "value": "1"}]
    )
    upload(api, space, "app.py", b"print()")
    copy = hub.api("charlie").duplicate_repo(space, repo_type="space").repo_id
    assert copy == space.replace("alice", "charlie")
    theirs = hub.api("charlie")
    assert "app.py" in theirs.list_repo_files(copy, repo_type="space")
    assert theirs.get_space_variables(copy)["V"].value == "1"
    assert theirs.get_space_secrets(copy) == {}
    assert theirs.list_repo_commits(copy, repo_type="space")[0].authors == ["alice"]
    assert not theirs.space_info(copy).private
    with pytest.raises(HfHubHTTPError, match="already created"):
        theirs.duplicate_repo(space, repo_type="space")
    private = theirs.duplicate_repo(space, "charlie/mine", repo_type="space", visibility="private").repo_id
    assert theirs.space_info(private).private
