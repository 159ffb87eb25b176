"""Organizations: made, joined, led and left, on the pages and by the API, and what each role may do."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import requests
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from tests.hub_server import Hub
from tests.spaces.browser import Browser

_numbers = itertools.count(1)


@pytest.fixture
def org(hub: Hub) -> str:
    """A new organization of alice's."""
    name = f"club-{next(_numbers)}"
    assert hub.call("POST", "/api/organizations", "alice", json={"name": name}).json() == {"name": name}
    return name


def put(hub: Hub, org: str, user: str, role: str, who: str = "alice") -> requests.Response:
    return hub.call("PUT", f"/api/organizations/{org}/members/{user}", who, json={"role": role})


def remove(hub: Hub, org: str, user: str, who: str = "alice") -> requests.Response:
    return hub.call("DELETE", f"/api/organizations/{org}/members/{user}", who)


def members(hub: Hub, org: str, who: str = "alice") -> dict[str, Any]:
    return {one.username: one.__dict__["role"] for one in hub.api(who).list_organization_members(org)}


def test_a_member_may_what_the_role_says(hub: Hub, org: str) -> None:
    space = f"{org}/demo"
    hub.api("alice").create_repo(space, repo_type="space", space_sdk="static", visibility="private")
    charlie = hub.api("charlie")
    with pytest.raises(RepositoryNotFoundError):
        charlie.space_info(space)
    assert put(hub, org, "charlie", "read").status_code == 200
    assert charlie.space_info(space).id == space
    with pytest.raises(HfHubHTTPError, match="no write access"):
        charlie.pause_space(space)
    assert put(hub, org, "charlie", "write").status_code == 200
    charlie.create_repo(f"{org}/another", repo_type="space", space_sdk="static")
    assert put(hub, org, "bob", "read", "charlie").status_code == 400
    assert put(hub, org, "charlie", "admin").status_code == 200
    assert put(hub, org, "bob", "read", "charlie").status_code == 200
    assert members(hub, org) == {"alice": "admin", "bob": "read", "charlie": "admin"}
    assert {o["name"]: o["roleInOrg"] for o in charlie.whoami()["orgs"]}[org] == "admin"
    assert remove(hub, org, "charlie").status_code == 200
    with pytest.raises(RepositoryNotFoundError):
        charlie.space_info(space)


def test_the_last_administrator_stays(hub: Hub, org: str) -> None:
    put(hub, org, "bob", "write")
    assert "last administrator" in remove(hub, org, "alice").json()["error"]
    assert "last administrator" in put(hub, org, "alice", "read").json()["error"]
    put(hub, org, "bob", "admin")
    assert remove(hub, org, "alice").status_code == 200
    assert members(hub, org, "bob") == {"bob": "admin"}
    assert put(hub, org, "charlie", "read").status_code == 404  # alice is nobody there now


def test_who_does_not_lead_only_leaves(hub: Hub, org: str) -> None:
    put(hub, org, "bob", "write")
    put(hub, org, "charlie", "read")
    assert remove(hub, org, "charlie", "bob").status_code == 400
    assert remove(hub, org, "bob", "bob").status_code == 200
    assert members(hub, org) == {"alice": "admin", "charlie": "read"}


@pytest.mark.parametrize("name", ["", "a b", "settings", "alice", "LAB", "-x", "a--b"])
def test_bad_and_taken_names_are_refused(hub: Hub, name: str) -> None:
    answer = hub.call("POST", "/api/organizations", "alice", json={"name": name})
    assert (answer.status_code, "name" in answer.json()["error"].lower()) == (400, True)


def test_unknown_users_and_roles_are_refused(hub: Hub, org: str) -> None:
    assert "no user" in put(hub, org, "nobody", "read").json()["error"]
    assert put(hub, org, "bob", "owner").status_code == 400
    assert "no member" in remove(hub, org, "bob").json()["error"]
    assert put(hub, org, "bob", "read", "alice_read").status_code == 403
    assert hub.call("PUT", f"/api/organizations/{org}/members/bob", json={"role": "read"}).status_code == 401


def test_the_pages_do_the_same(hub: Hub) -> None:
    name = f"club-{next(_numbers)}"
    browser = Browser(hub, "alice")
    assert browser.post("/settings/organizations", name="a b").status_code == 422
    page = browser.post("/settings/organizations", name=name)
    assert page.url == f"{hub.url}/settings/organizations/{name}"
    browser.post(f"/settings/organizations/{name}", user="bob", role="write")
    assert members(hub, name) == {"alice": "admin", "bob": "write"}
    refused = browser.post(f"/settings/organizations/{name}", remove="alice")
    assert (refused.status_code, "last administrator" in refused.text) == (422, True)
    bobs = Browser(hub, "bob")
    assert name in bobs.get("/settings/organizations").text
    assert bobs.post(f"/settings/organizations/{name}", user="charlie", role="read").status_code == 422
    assert Browser(hub, "charlie").get(f"/settings/organizations/{name}").status_code == 404
    assert (
        bobs.post(f"/settings/organizations/{name}", remove="bob").url == f"{hub.url}/settings/organizations"
    )
    assert members(hub, name) == {"alice": "admin"}
