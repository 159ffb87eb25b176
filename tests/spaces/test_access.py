"""What people may not change: a public Space of somebody else, fields that are not theirs to set, anything by
the session's cookie alone. (Private Spaces: test_hub_permissions.)"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import requests
from django.urls import URLPattern

from spaces.api.urls import urlpatterns
from tests.hub_server import Hub

Make = Callable[..., str]

#: What each route that changes something takes, to be let through as far as the question of access.
BODIES: dict[str, Any] = {
    "settings": {"visibility": "public"},
    "hardware": {"flavor": "t4-small"},
    "sleeptime": {"seconds": 60},
    "secrets": {"key": "A", "value": "b"},
    "variables": {"key": "A", "value": "b"},
    "volumes": {"volumes": []},
    "preupload": {"files": [{"path": "a", "size": 1}]},
    "tag": {"tag": "t"},
    "duplicate": {"repository": "charlie/stolen"},
    "queue": {"concurrency_count": 9},
}
#: Routes about one Space where a POST only reads.
READS = {"paths-info", "duplicate", "discussions", "user-access-request"}
#: What anybody who is signed in may do with a Space that they see.
OF_VISITORS = {"like"}
METHODS = ("GET", "POST", "PUT", "DELETE")
#: Arguments besides owner and name.
VALUES = {
    "revision": "main", "rest": "main/README.md", "branch": "other", "write": "write", "service": "info/refs",
}  # fmt: skip


def routes() -> list[str]:
    """The routes about one Space, `{owner}/{name}` left open; the two of the queue come from OpenAPI's."""
    found = ["/api/spaces/{space}/queue"]
    for pattern in urlpatterns:
        if isinstance(pattern, URLPattern):
            route = str(pattern.pattern)
            if "spaces/<str:owner>/<str:name>" in route:
                filled = re.sub(r"<\w+:(\w+)>", lambda m: VALUES.get(m[1], f"<{m[1]}>"), route)
                found.append("/" + filled.replace("<owner>/<name>", "{space}"))
    assert not any("<" in route for route in found), "a route has a new argument: give it a value above"
    return found


def ask(hub: Hub, method: str, route: str, space: str, who: str) -> tuple[int, str]:
    """Status and text."""
    word = route.removeprefix("/api/spaces/{space}").strip("/").split("/")[0]
    body = json.dumps(BODIES.get(word, {}))
    headers = {"Content-Type": "application/json"}
    with hub.call(method, route.format(space=space), who, data=body, headers=headers) as answer:
        return answer.status_code, answer.text


@pytest.fixture(scope="module")
def space(new_space: Make) -> str:
    """One for all tests that change nothing in it: to make one costs more than they do."""
    return new_space()


@pytest.mark.parametrize("route", routes())
@pytest.mark.parametrize("who", ["charlie", "", "alice_read"])
def test_who_may_only_read_changes_nothing(hub: Hub, space: str, route: str, who: str) -> None:
    before = everything(hub, space)
    for method in ("POST", "PUT", "DELETE"):
        status, text = ask(hub, method, route, space, who)
        word = route.removeprefix("/api/spaces/{space}/").split("/")[0]
        allowed = {401, 403, 405} | ({200, 400} if word in READS else set())
        allowed |= {200} if word in OF_VISITORS and who == "charlie" else set()
        assert status in allowed, (method, route, status, text)
    assert everything(hub, space) == before


def everything(hub: Hub, space: str) -> list[tuple[Any, ...]]:
    """The Space's row and what hangs on it."""
    name = space.split("/")[1]
    return [
        *hub.sql("select * from spaces_space where name = %s", name),
        *hub.sql(
            "select q.chosen from queueing_queuesettings q join spaces_space s on s.id = q.space_id "
            "where s.name = %s",
            name,
        ),
        *hub.sql(
            "select key from spaces_secret s join spaces_space p on p.id = space_id where name = %s", name
        ),
        *hub.sql(
            "select key from spaces_variable s join spaces_space p on p.id = space_id where name = %s", name
        ),
    ]


@pytest.mark.parametrize("what", ["logs/run", "logs/build", "secrets"])
def test_logs_and_secret_names_are_the_owners(hub: Hub, space: str, what: str) -> None:
    for who, status in (("charlie", 403), ("", {"secrets": 401}.get(what, 403))):
        assert hub.call("GET", f"/api/spaces/{space}/{what}", who).status_code == status


def test_fields_that_are_not_ones_to_set_are_ignored(hub: Hub, new_space: Make) -> None:
    body = {
        "name": "mass", "type": "space", "sdk": "gradio", "owner": "charlie", "owner_id": 1,
        "subdomain": "www", "stage": "RUNNING", "is_staff": True, "sha": "0" * 40,
    }  # fmt: skip
    assert hub.call("POST", "/api/repos/create", "alice", json=body).json()["name"] == "alice/mass"
    more = {"visibility": "public", "hardware": "a100-large", "owner": "charlie", "sdk": "docker", "id": 1}
    assert hub.call("PUT", "/api/spaces/alice/mass/settings", "alice", json=more).status_code == 200
    found = hub.api("").space_info("alice/mass")
    assert (found.author, found.sdk, found.subdomain) == ("alice", "gradio", "alice-mass")
    assert found.runtime is not None
    assert (found.runtime.stage, found.runtime.requested_hardware) == ("NO_APP_FILE", "cpu-basic")
    assert hub.sql("select is_staff from accounts_user where username = 'alice'") == [(False,)]


def test_a_session_reads_but_never_writes_without_a_token(hub: Hub, space: str, new_space: Make) -> None:
    private = new_space(visibility="private")
    browser = requests.Session()
    page = browser.get(f"{hub.url}/login", timeout=10)
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert found is not None
    signed = browser.post(
        f"{hub.url}/login", timeout=10, headers={"Referer": f"{hub.url}/login"}, allow_redirects=False,
        data={"csrfmiddlewaretoken": found[1], "username": "alice", "password": "alice-secret"},
    )  # fmt: skip
    assert signed.status_code == 302, signed.text
    assert browser.get(f"{hub.url}/api/spaces/{private}", timeout=10).status_code == 200
    for method, path in (("POST", "pause"), ("PUT", "queue"), ("PUT", "settings"), ("POST", "secrets")):
        answer = browser.request(method, f"{hub.url}/api/spaces/{space}/{path}", json={}, timeout=10)
        assert answer.status_code in {400, 401}, (path, answer.text)
    assert hub.api("").get_space_runtime(space).stage == "NO_APP_FILE"


def test_tokens_are_kept_only_as_digests(hub: Hub) -> None:
    stored = str(hub.sql("select * from accounts_accesstoken"))
    for plain in hub.tokens.values():
        assert plain not in stored
        assert plain not in hub.log()
