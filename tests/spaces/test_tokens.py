"""Tokens with an end, tokens for one Space alone, and their page."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from tests.hub_server import Hub
from tests.spaces.browser import Browser

Make = Callable[..., str]


def made(hub: Hub, who: str, **fields: str) -> str:
    """A token made on the page; its value."""
    page = Browser(hub, who).post("/tokens", **{"name": "made", "scope": "write", **fields})
    assert page.status_code == 200, page.text
    found = re.search(r'id="plain-token"[^>]*>(hf_\w+)', page.text)
    assert found is not None, page.text
    return found[1]


def api_of(hub: Hub, token: str) -> HfApi:
    return HfApi(endpoint=hub.url, token=token)


def upload(api: HfApi, space: str) -> None:
    api.upload_file(path_or_fileobj=b"1", path_in_repo="a.txt", repo_id=space, repo_type="space")


def test_a_token_ends_when_it_was_made_to(hub: Hub, space: str) -> None:
    token = made(hub, "alice", days="7")
    api = api_of(hub, token)
    assert "expiresAt" in api.whoami()["auth"]["accessToken"]
    upload(api, space)
    hub.sql("update accounts_accesstoken set expires_at = now() where last_four = %s", token[-4:])
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        api.whoami()
    assert "expired" in Browser(hub, "alice").get("/tokens").text


def test_the_last_use_is_shown(hub: Hub) -> None:
    token = made(hub, "charlie", name="once used")
    api_of(hub, token).whoami()
    (used,) = hub.sql("select last_used_at from accounts_accesstoken where last_four = %s", token[-4:])[0]
    assert used is not None


def test_a_token_for_one_space_is_a_strangers_elsewhere(hub: Hub, new_space: Make) -> None:
    mine, private, other = new_space(visibility="private"), new_space(visibility="private"), new_space()
    api = api_of(hub, made(hub, "alice", space=mine))
    me = api.whoami()
    assert (me["name"], me["auth"]["accessToken"]["role"]) == ("alice", "fineGrained")
    upload(api, mine)
    api.add_space_secret(mine, "K", "v")
    api.add_space_variable(mine, "V", "1")
    api.restart_space(mine)
    assert api.get_space_runtime(mine).stage
    api.create_repo(mine, repo_type="space", space_sdk="gradio", exist_ok=True)  # as `hf upload` begins
    assert "a.txt" in api.list_repo_files(mine, repo_type="space")
    with pytest.raises(RepositoryNotFoundError):
        api.space_info(private)
    assert api.space_info(other).id == other
    with pytest.raises(HfHubHTTPError, match=f"for {mine} alone"):
        upload(api, other)
    for call in (
        lambda: api.create_repo("alice/new", repo_type="space", space_sdk="gradio"),
        lambda: api.duplicate_repo(mine, "alice/copy", repo_type="space"),
        lambda: api.move_repo(mine, "alice/moved", repo_type="space"),
        lambda: api.delete_repo(mine, repo_type="space"),
        lambda: api.list_webhooks(),
        lambda: list(api.list_user_repos()),
    ):
        with pytest.raises(HfHubHTTPError, match="alone"):
            call()
    assert private not in {one.id for one in api.list_spaces(author="alice")}


def test_git_and_the_command_take_it_too(hub: Hub, new_space: Make, tmp_path: object) -> None:
    mine, other = new_space(visibility="private"), new_space(visibility="private")
    hub.tokens["limited"] = made(hub, "alice", space=mine)
    assert hub.git("clone", hub.remote(mine, "limited"), f"{tmp_path}/mine").returncode == 0
    assert hub.git("clone", hub.remote(other, "limited"), f"{tmp_path}/other").returncode != 0
    done = hub.hf(
        "limited", "upload", mine, f"{tmp_path}/mine/README.md", "README2.md", "--repo-type", "space"
    )
    assert done.returncode == 0, done.stderr
    assert hub.hf("limited", "spaces", "info", other).returncode != 0


def test_a_reading_token_for_one_space_only_reads(hub: Hub, new_space: Make) -> None:
    mine = new_space(visibility="private")
    api = api_of(hub, made(hub, "alice", space=mine, scope="read"))
    assert api.space_info(mine).id == mine
    with pytest.raises(HfHubHTTPError, match="may only read"):
        upload(api, mine)


def test_it_calls_its_own_private_space_and_no_other(hub: Hub, new_space: Make) -> None:
    mine, other = new_space(visibility="private"), new_space(visibility="private")
    token = made(hub, "alice", space=mine)
    headers = {"Authorization": f"Bearer {token}"}
    assert hub.call("GET", f"/run/{mine}/config", headers=headers).status_code == 503  # it has no app
    assert hub.call("GET", f"/run/{other}/config", headers=headers).status_code == 404


def test_the_space_of_a_token_has_to_be_there(hub: Hub, new_space: Make) -> None:
    hidden = new_space("bob", visibility="private")
    for space in ("alice/nothing", "nonsense", hidden):
        page = Browser(hub, "alice").post("/tokens", name="x", scope="write", space=space)
        assert (page.status_code, "There is no such Space" in page.text) == (422, True)


def test_a_deleted_space_takes_its_tokens_with_it(hub: Hub, new_space: Make) -> None:
    mine = new_space()
    token = made(hub, "alice", space=mine)
    hub.api("alice").delete_repo(mine, repo_type="space")
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        api_of(hub, token).whoami()
