"""Refusals in the Hub's own terms: what is turned off, what is not there, and whom the client blames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    BadRequestError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.hub_server import Hub

Make = Callable[..., str]

DISCUSSIONS: list[Callable[[HfApi, str], Any]] = [
    lambda api, s: list(api.get_repo_discussions(s, repo_type="space")),
    lambda api, s: list(api.get_repo_discussions(s, repo_type="space", discussion_type="discussion")),
    lambda api, s: api.get_discussion_details(s, 1, repo_type="space"),
    lambda api, s: api.create_discussion(s, "t", repo_type="space"),
    lambda api, s: api.comment_discussion(s, 1, "c", repo_type="space"),
    lambda api, s: api.rename_discussion(s, 1, "t", repo_type="space"),
    lambda api, s: api.change_discussion_status(s, 1, "closed", repo_type="space"),
    lambda api, s: api.edit_discussion_comment(s, 1, "0" * 16, "n", repo_type="space"),
    lambda api, s: api.hide_discussion_comment(s, 1, "0" * 16, repo_type="space"),
    lambda api, s: api.merge_pull_request(s, 1, repo_type="space"),
]
PULL_REQUESTS: list[Callable[[HfApi, str], Any]] = [
    lambda api, s: list(api.get_repo_discussions(s, repo_type="space", discussion_type="pull_request")),
    lambda api, s: api.create_pull_request(s, "t", repo_type="space"),
    lambda api, s: api.delete_file("README.md", s, repo_type="space", create_pr=True),
]


def refusal(call: Callable[[HfApi, str], Any], api: HfApi, space: str) -> HfHubHTTPError:
    """What the client raises for it."""
    with pytest.raises(HfHubHTTPError) as error:
        call(api, space)
    return error.value


@pytest.mark.filterwarnings("ignore:Hidden comments")
@pytest.mark.parametrize("call", DISCUSSIONS + PULL_REQUESTS)
def test_discussions_and_pull_requests_are_turned_off(hub: Hub, space: str, call: Any) -> None:
    found = refusal(call, hub.api("alice"), space)
    assert found.response.status_code == 403
    what = "Discussions" if call in DISCUSSIONS else "Pull requests"
    assert f"{what} are disabled for this repo" in str(found)


def test_a_folder_is_not_sent_as_a_pull_request(hub: Hub, space: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("x")
    api = hub.api("alice")
    before = api.space_info(space).sha
    with pytest.raises(HfHubHTTPError, match="Pull requests are disabled"):
        api.upload_folder(repo_id=space, repo_type="space", folder_path=tmp_path, create_pr=True)
    assert api.space_info(space).sha == before
    done = hub.hf("alice", "upload", space, str(tmp_path), "--repo-type", "space", "--create-pr")
    assert done.returncode != 0
    assert "Pull requests are disabled" in done.stderr


def test_the_discussions_of_a_hidden_space_do_not_exist(hub: Hub, new_space: Make) -> None:
    space = new_space(visibility="private")
    for who in ("charlie", ""):
        with pytest.raises(RepositoryNotFoundError):
            list(hub.api(who).get_repo_discussions(space, repo_type="space"))
        with pytest.raises(RepositoryNotFoundError):
            list(hub.api(who).list_pending_access_requests(space, repo_type="space"))


def test_a_space_that_is_not_gated_has_no_requests_for_access(hub: Hub, space: str) -> None:
    api = hub.api("alice")
    with pytest.raises(BadRequestError, match="not gated"):
        list(api.list_pending_access_requests(space, repo_type="space"))
    with pytest.raises(BadRequestError, match="not gated"):
        api.grant_access(space, "bob", repo_type="space")


NOT_THERE: list[tuple[Callable[[HfApi, str], Any], type[Exception]]] = [
    (lambda api, s: api.space_info(s + "x"), RepositoryNotFoundError),
    (lambda api, s: api.get_space_runtime(s + "x"), RepositoryNotFoundError),
    (lambda api, s: api.get_space_secrets(s + "x"), RepositoryNotFoundError),
    (lambda api, s: api.pause_space(s + "x"), RepositoryNotFoundError),
    (lambda api, s: list(api.fetch_space_logs(s + "x")), RepositoryNotFoundError),
    (lambda api, s: api.auth_check(s + "x", repo_type="space"), RepositoryNotFoundError),
    (lambda api, s: api.duplicate_repo(s + "x", "alice/copy", repo_type="space"), RepositoryNotFoundError),
    (lambda api, s: api.space_info(s, revision="nowhere"), RevisionNotFoundError),
    (lambda api, s: api.list_repo_commits(s, repo_type="space", revision="no"), RevisionNotFoundError),
    (lambda api, s: api.get_paths_info(s, "a", repo_type="space", revision="no"), RevisionNotFoundError),
    (lambda api, s: api.create_tag(s, tag="v", revision="nowhere", repo_type="space"), RevisionNotFoundError),
    (lambda api, s: api.create_tag(s, tag="a b", revision="no", repo_type="space"), RevisionNotFoundError),
    (lambda api, s: api.unlike("oneword", repo_type="space"), RepositoryNotFoundError),
    (lambda api, s: api.pause_space("oneword"), RepositoryNotFoundError),
    (lambda api, s: api.add_space_secret("oneword", "K", "v"), RepositoryNotFoundError),
    (lambda api, s: api.update_repo_settings("a", private=True, repo_type="space"), RepositoryNotFoundError),
    (lambda api, s: api.super_squash_history("oneword", repo_type="space"), RepositoryNotFoundError),
    (lambda api, s: api.auth_check("oneword", repo_type="space", write=True), RepositoryNotFoundError),
    (lambda api, s: api.create_discussion("oneword", "t", repo_type="space"), RepositoryNotFoundError),
    (lambda api, s: api.delete_tag(s, tag="nothing", repo_type="space"), RevisionNotFoundError),
    (lambda api, s: api.hf_hub_download(s, "nothing", repo_type="space"), RemoteEntryNotFoundError),
    (lambda api, s: list(api.list_repo_tree(s, "nothing", repo_type="space")), RemoteEntryNotFoundError),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind"), NOT_THERE)
def test_what_is_not_there_has_the_hubs_code(hub: Hub, space: str, call: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        call(hub.api("alice"), space)


def test_an_unknown_space_is_told_in_the_clients_own_words(hub: Hub, space: str) -> None:
    found = refusal(lambda api, s: api.delete_file("a", f"{s}x", repo_type="space"), hub.api("alice"), space)
    assert found.server_message == "Repository not found"
    assert str(found).lower().count("not found") == 1
    assert hub.call("DELETE", f"/api/spaces/{space}", "alice").status_code == 405


def test_every_refusal_has_a_number_that_the_client_shows(hub: Hub, space: str) -> None:
    found = refusal(lambda api, s: api.create_discussion(s, "t", repo_type="space"), hub.api("alice"), space)
    number = found.response.headers["X-Request-Id"]
    assert number in str(found)
    assert number == found.response.request.headers["X-Amzn-Trace-Id"]  # the client's own
    answer = hub.call("GET", "/api/spaces/a/b", headers={"X-Request-Id": "evil\t<x>" * 40})
    assert len(answer.headers["X-Request-Id"]) == 32
