"""Likes, profiles, search by description, and squashed histories, by the official client."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

from tests.hub_server import Hub
from tests.spaces.browser import Browser

Make = Callable[..., str]


def like(hub: Hub, space: str, who: str) -> None:
    assert hub.call("POST", f"/api/spaces/{space}/like", who).status_code == 200


def test_likes_are_counted_listed_and_taken_back(hub: Hub, space: str) -> None:
    for who in ("bob", "charlie", "charlie"):
        like(hub, space, who)
    api = hub.api("charlie")
    assert api.space_info(space).likes == 2
    assert {user.username for user in api.list_repo_likers(space, repo_type="space")} == {"bob", "charlie"}
    assert space in api.list_liked_repos().spaces
    api.unlike(space, repo_type="space")
    api.unlike(space, repo_type="space")
    assert api.space_info(space).likes == 1
    assert space not in api.list_liked_repos().spaces
    with pytest.raises(HfHubHTTPError, match="sign in"):
        hub.api("").unlike(space, repo_type="space")


def test_likes_of_a_hidden_space_are_hidden(hub: Hub, new_space: Make) -> None:
    space = new_space(owner="lab", visibility="private")
    like(hub, space, "bob")
    assert space in hub.api("bob").list_liked_repos().spaces
    assert space not in hub.api("charlie").list_liked_repos("bob").spaces
    with pytest.raises(RepositoryNotFoundError):
        list(hub.api("charlie").list_repo_likers(space, repo_type="space"))
    assert hub.call("POST", f"/api/spaces/{space}/like", "charlie").status_code == 404


def test_lists_are_sorted_by_likes(hub: Hub, new_space: Make) -> None:
    liked, _ = new_space(), new_space()
    for who in ("alice", "bob", "charlie", "reader"):
        like(hub, liked, who)
    for sort in ("likes", "trending_score"):
        first = next(iter(hub.api("").list_spaces(sort=sort, limit=1)))
        assert first.id == liked
        assert (first.likes, first.trending_score) == (4, 4)


def test_long_lists_of_likers_are_paged(hub: Hub, space: str) -> None:
    for who in ("alice", "bob", "charlie"):
        like(hub, space, who)
    first = hub.call("GET", f"/api/spaces/{space}/likers?limit=2")
    assert len(first.json()) == 2
    second = hub.call("GET", first.links["next"]["url"].removeprefix(hub.url))
    assert [one["user"] for one in second.json()] == ["alice"]


def test_the_heart_on_the_page_likes_and_unlikes(hub: Hub, space: str) -> None:
    browser = Browser(hub, "charlie")
    assert "♡ 0" in browser.get(f"/{space}").text
    assert "♥ 1" in browser.post(f"/{space}/like").text
    assert "♡ 0" in browser.post(f"/{space}/like", liked="1").text


def test_profiles_of_users_and_organizations(hub: Hub, new_space: Make) -> None:
    space = new_space("bob")
    new_space("alice", owner="lab", visibility="private")
    like(hub, space, "bob")
    bob = hub.api("charlie").get_user_overview("BOB")
    assert (bob.username, bob.user_type) == ("bob", "user")
    assert "lab" in [org.name for org in bob.orgs]  # other tests make more
    assert bob.num_likes == len(hub.api("charlie").list_liked_repos("bob").spaces) > 0
    assert bob.num_spaces == len(list(hub.api("charlie").list_spaces(author="bob")))
    lab = hub.api("alice").get_organization_overview("lab")
    assert (lab.name, lab.num_users) == ("lab", 3)
    assert lab.num_spaces == len(list(hub.api("alice").list_spaces(author="lab")))
    assert hub.api("charlie").get_organization_overview("lab").num_spaces != lab.num_spaces
    members = list(hub.api("reader").list_organization_members("lab"))
    assert [(m.username, m.__dict__["role"]) for m in members] == [
        ("alice", "admin"),
        ("bob", "write"),
        ("reader", "read"),
    ]
    assert list(hub.api("alice").list_organization_followers("lab")) == []
    assert list(hub.api("alice").list_user_followers("bob")) == []
    assert list(hub.api("alice").list_user_following("bob")) == []
    assert "@" not in hub.call("GET", "/api/users/bob/overview", "charlie").text


def test_profiles_that_are_not_there_or_hidden(hub: Hub) -> None:
    calls: list[Callable[[HfApi], Any]] = [
        lambda api: api.get_user_overview("nobody"),
        lambda api: api.get_user_overview("lab"),
        lambda api: api.get_organization_overview("bob"),
    ]
    for call in calls:
        with pytest.raises(HfHubHTTPError, match="There is no") as error:
            call(hub.api("alice"))
        assert error.value.response.status_code == 404
    with pytest.raises(HfHubHTTPError, match="Only members of lab"):
        list(hub.api("charlie").list_organization_members("lab"))
    # Who has nothing public is not told of to strangers.
    with pytest.raises(HfHubHTTPError, match="no user"):
        hub.api("").get_user_overview("reader")


def card(hub: Hub, space: str, text: str) -> None:
    readme = f"---\nsdk: static\n{text}---\n"
    hub.api("alice").upload_file(
        path_or_fileobj=readme.encode(), path_in_repo="README.md", repo_id=space, repo_type="space"
    )


def test_spaces_are_found_by_what_they_say_of_themselves(hub: Hub, new_space: Make) -> None:
    whales, talks, hidden = new_space(), new_space(), new_space(visibility="private")
    card(hub, whales, "title: Counting humpback whales\ntags: [zebrafish]\n")
    card(hub, talks, "title: Talks\nshort_description: whale songs as music\n")
    card(hub, hidden, "title: humpback whales\n")
    api = hub.api("charlie")
    found = list(api.search_spaces("an app which counted humpbacks or a whale"))
    assert [one.id for one in found][:2] == [whales, talks]
    assert found[0].semantic_relevancy_score > found[1].semantic_relevancy_score  # type: ignore[operator]
    assert (found[1].ai_short_description, found[1].runtime.stage) == ("whale songs as music", "RUNNING")  # type: ignore[union-attr]
    assert hidden in {one.id for one in hub.api("alice").search_spaces("humpback")}
    assert [one.id for one in api.search_spaces("whale", filter="zebrafish")] == [whales]
    assert list(api.search_spaces("whale", sdk="docker")) == []
    assert list(api.search_spaces("the !!! & | of")) == []
    done = hub.hf("charlie", "spaces", "search", "humpback whales", "--description", "--format", "json")
    assert [one["id"] for one in json.loads(done.stdout)][:1] == [whales]


def test_a_number_in_a_name_is_a_word_of_it(hub: Hub) -> None:
    api = hub.api("alice")
    name = f"seldom{secrets.token_hex(4)}"
    for number in (3, 4):
        api.create_repo(f"alice/{name}-{number}", repo_type="space", space_sdk="gradio")
    found = api.search_spaces(f"{name} 4", include_non_running=True)
    assert next(iter(found)).id == f"alice/{name}-4"


def test_what_does_not_run_is_found_only_if_asked_for(hub: Hub) -> None:
    api = hub.api("alice")
    question = f"seldom{secrets.token_hex(4)}"  # the others of this server are found by no word of it
    space = api.create_repo(f"alice/{question}", repo_type="space", space_sdk="gradio").repo_id
    assert space not in {one.id for one in api.search_spaces(question)}
    assert space in {one.id for one in api.search_spaces(question, include_non_running=True)}
    for query in ("", "?q=", f"?q={'x' * 1001}"):
        assert hub.call("GET", f"/api/spaces/semantic-search{query}").status_code == 400


# --- squashing --------------------------------------------------------------------------------------


def test_a_history_is_squashed_on_main_and_on_a_branch(hub: Hub, space: str) -> None:
    api = hub.api("alice")
    for text in (b"one", b"two"):
        api.upload_file(path_or_fileobj=text, path_in_repo="a.txt", repo_id=space, repo_type="space")
    api.create_branch(space, branch="feat/x", repo_type="space")
    api.super_squash_history(space, repo_type="space")
    [only] = api.list_repo_commits(space, repo_type="space")
    assert only.title == "Super-squash branch 'main' using huggingface_hub"
    assert api.space_info(space).sha == only.commit_id
    assert "a.txt" in api.list_repo_files(space, repo_type="space")
    assert len(api.list_repo_commits(space, repo_type="space", revision="feat/x")) == 3
    api.super_squash_history(space, branch="feat/x", commit_message="all", repo_type="space")
    [only] = api.list_repo_commits(space, repo_type="space", revision="feat/x")
    assert only.title == "all"


def test_only_writers_squash_what_is_there(hub: Hub, space: str) -> None:
    with pytest.raises(RevisionNotFoundError):
        hub.api("alice").super_squash_history(space, branch="nowhere", repo_type="space")
    with pytest.raises(HfHubHTTPError, match="no write access"):
        hub.api("charlie").super_squash_history(space, repo_type="space")


def test_whoami_has_a_picture_and_roles(hub: Hub) -> None:
    me: dict[str, Any] = hub.api("bob").whoami()
    assert me["avatarUrl"].startswith(hub.url)
    assert ("lab", "write") in [(org["name"], org["roleInOrg"]) for org in me["orgs"]]
