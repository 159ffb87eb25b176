"""Who may do what with a private Space: every route of the API, by anonymous, a stranger, a token that only
reads, and the owner. A route that is not in the table fails."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver

from spaces.api.urls import urlpatterns
from tests.hub_server import Hub

SPACE = "api/spaces/<str:owner>/<str:name>"
GIT = (
    r"^(?:spaces/)?(?P<owner>[^/]+)/(?P<name>[^/]+?)(?:\.git)?/"
    r"(?P<service>info/refs|git-(?:upload|receive)-pack)$"
)
CANARY = "canary-of-a-private-space"

NEW = {"name": "{new}", "organization": "alice", "type": "space"}
OLD = {"name": "{name}", "organization": "alice", "type": "space"}
FILE = "spaces/<str:owner>/<str:name>/resolve/<path:rest>"
OF_AN_OWNER = "api/organizations/<str:owner>/settings/repositories"
OTHER_KIND = r"^(?:datasets/)?[^/]+(?:/[^/]+)?/resolve/.+$"
RELOAD = r"^run/(?P<owner>[^/]+)/(?P<name>[^/]+)//?--replicas/\+(?P<replica_id>\d{1,18})/get-reload$"
BUCKET = "api/buckets/<str:owner>/<str:name>"
REQUESTS = f"{SPACE}/user-access-request/<path:rest>"
MEMBER = "api/organizations/<str:name>/members/<user>"
HOOKS = "api/settings/webhooks"
COLLECTION = "api/collections/<str:owner>/<str:slug>"
NONE = "api/collections/alice/none-0123456789abcdef01234567"
PUBLISHERS = f"{SPACE}/trusted-publishers"
MOVE = {"fromRepo": "alice/{name}", "toRepo": "alice/{new}", "type": "space"}
BATCH = r"^(?:spaces/)?(?P<owner>[^/]+)/(?P<name>[^/]+?)(?:\.git)?/info/lfs/objects/batch$"
LFS = r"^(?:spaces/)?[^/]+/[^/]+/info/lfs/.*$"

#: Anonymous, stranger, read token, owner.
READ = (401, 404, 200, 200)
WRITE = (401, 404, 403, 200)
ANYONE = (200, 200, 200, 200)
SIGNED_IN = (401, 200, 200, 200)
ADMINISTRATORS = (401, 403, 403, 403)  # none of these

PREUPLOAD = {"files": [{"path": "app.py", "size": 1}]}
COMMIT = "\n".join(
    json.dumps(line)
    for line in (
        {"key": "header", "value": {"summary": "s"}},
        {"key": "file", "value": {"path": "x.txt", "content": "eA==", "encoding": "base64"}},
    )
)
KEY = {"key": "KEY", "value": "v"}

#: How an address begins that is not below the Space.
WHOLE = ("/api/", "/buckets/", "/uploads", "/spaces/", "/datasets/", "/oauth/", "/run/", "/{id}")
#: Route, method, rest of the address below the Space (or all of it), body, who may.
TABLE: list[tuple[str, str, str, Any, tuple[int, int, int, int]]] = [
    ("api/whoami-v2", "GET", "/api/whoami-v2", None, SIGNED_IN),
    ("api/repos/create", "POST", "/api/repos/create", NEW, (401, 403, 403, 200)),
    ("api/repos/delete", "DELETE", "/api/repos/delete", OLD, WRITE),
    ("api/agent-harnesses", "GET", "/api/agent-harnesses", None, ANYONE),
    ("api/validate-yaml", "POST", "/api/validate-yaml", {"content": "# x"}, ANYONE),
    ("api/collections", "GET", "/api/collections", None, ANYONE),
    ("api/collections", "POST", "/api/collections", {"title": "t", "namespace": "bob"}, (401, 403, 403, 403)),
    (COLLECTION, "GET", f"/{NONE}", None, (404,) * 4),
    (COLLECTION, "PATCH", f"/{NONE}", {"title": "t"}, (401, 404, 404, 404)),
    (COLLECTION, "DELETE", f"/{NONE}", None, (401, 404, 404, 404)),
    (f"{COLLECTION}/items", "POST", f"/{NONE}/items", {}, (401, 404, 404, 404)),
    (f"{COLLECTION}/items/<str:key>", "PATCH", f"/{NONE}/items/x", {}, (401, 404, 404, 404)),
    (f"{COLLECTION}/items/<str:key>", "DELETE", f"/{NONE}/items/x", None, (401, 404, 404, 404)),
    (f"{COLLECTION}/resource-group", "POST", f"/{NONE}/resource-group", {}, (401, 404, 404, 404)),
    ("api/settings/repositories", "GET", "/api/settings/repositories", None, SIGNED_IN),
    (OF_AN_OWNER, "GET", "/api/organizations/alice/settings/repositories", None, SIGNED_IN),
    ("api/spaces", "GET", "/api/spaces?limit=100", None, ANYONE),
    ("api/spaces/hardware", "GET", "/api/spaces/hardware", None, ANYONE),
    ("api/spaces/templates", "GET", "/api/spaces/templates", None, ANYONE),
    (SPACE, "GET", "", None, READ),
    (f"{SPACE}/revision/<path:revision>", "GET", "/revision/main", None, READ),
    (f"{SPACE}/auth-check", "GET", "/auth-check", None, READ),
    (f"{SPACE}/auth-check/<str:write>", "GET", "/auth-check/write", None, WRITE),
    (f"{SPACE}/settings", "PUT", "/settings", {"visibility": "private"}, WRITE),
    (f"{SPACE}/preupload/<path:revision>", "POST", "/preupload/main", PREUPLOAD, WRITE),
    (f"{SPACE}/commit/<path:revision>", "POST", "/commit/main", COMMIT, WRITE),
    (f"{SPACE}/tree/<path:rest>", "GET", "/tree/main", None, READ),
    (f"{SPACE}/paths-info/<path:revision>", "POST", "/paths-info/main", None, READ),
    (f"{SPACE}/commits/<path:revision>", "GET", "/commits/main", None, READ),
    (f"{SPACE}/refs", "GET", "/refs", None, READ),
    (f"{SPACE}/xet-write-token/<path:revision>", "GET", "/xet-write-token/main", None, WRITE),
    (f"{SPACE}/lfs-files", "GET", "/lfs-files", None, WRITE),
    (f"{SPACE}/lfs-files/batch", "POST", "/lfs-files/batch", {"deletions": {"sha": []}}, WRITE),
    (f"{SPACE}/branch/<path:branch>", "POST", "/branch/b", {}, WRITE),
    (f"{SPACE}/branch/<path:branch>", "DELETE", "/branch/b", None, WRITE),
    (f"{SPACE}/tag/<path:revision>", "POST", "/tag/main", {"tag": "t"}, WRITE),
    (f"{SPACE}/tag/<path:revision>", "DELETE", "/tag/t", None, WRITE),
    (f"{SPACE}/duplicate", "POST", "/duplicate", {"repository": "alice/{new}"}, WRITE),
    (f"{SPACE}/runtime", "GET", "/runtime", None, READ),
    (f"{SPACE}/hardware", "POST", "/hardware", {"flavor": "cpu-basic"}, WRITE),
    (f"{SPACE}/sleeptime", "POST", "/sleeptime", {"seconds": 60}, WRITE),
    (f"{SPACE}/replicas", "GET", "/replicas", None, WRITE),
    (f"{SPACE}/replicas", "POST", "/replicas", {"replicas": 1}, WRITE),
    (f"{SPACE}/pause", "POST", "/pause", None, WRITE),
    (f"{SPACE}/restart", "POST", "/restart", None, WRITE),
    (f"{SPACE}/secrets", "GET", "/secrets", None, (401, 404, 403, 200)),
    (f"{SPACE}/secrets", "POST", "/secrets", KEY, WRITE),
    (f"{SPACE}/secrets", "DELETE", "/secrets", KEY, WRITE),
    (f"{SPACE}/variables", "GET", "/variables", None, READ),
    (f"{SPACE}/variables", "POST", "/variables", KEY, WRITE),
    (f"{SPACE}/variables", "DELETE", "/variables", KEY, WRITE),
    (f"{SPACE}/volumes", "PUT", "/volumes", {"volumes": []}, WRITE),
    (f"{SPACE}/volumes", "DELETE", "/volumes", None, (401, 404, 403, 400)),
    ("api/buckets/<str:owner>", "GET", "/api/buckets/alice", None, READ),
    (BUCKET, "GET", "/api/buckets/alice/none", None, (401, 404, 404, 404)),
    (BUCKET, "POST", "/api/buckets/alice/a--b", {}, (401, 404, 403, 400)),
    (BUCKET, "DELETE", "/api/buckets/alice/none", None, (401, 404, 403, 404)),
    (f"{BUCKET[4:]}/resolve/<path:path>", "GET", "/buckets/alice/none/resolve/x", None, (501,) * 4),
    ("uploads", "POST", "/uploads", {}, (501,) * 4),
    (f"{SPACE}/logs/run", "GET", "/logs/run", None, READ),
    (f"{SPACE}/logs/build", "GET", "/logs/build", None, READ),
    (f"{SPACE}/queue", "GET", "/queue", None, READ),
    (f"{SPACE}/queue", "PUT", "/queue", {"max_size": 5}, WRITE),
    (f"{SPACE}/memory", "GET", "/memory", None, WRITE),
    (f"{SPACE}/statistics", "GET", "/statistics", None, READ),
    (f"{SPACE}/what-if", "GET", "/what-if", None, (401, 404, 409, 409)),
    (f"{SPACE}/what-if/applied", "GET", "/what-if/applied", None, READ),
    (f"{SPACE}/tuning", "GET", "/tuning", None, READ),
    (f"{SPACE}/tuning", "POST", "/tuning", {}, (401, 404, 403, 409)),
    (f"{SPACE}/tuning", "DELETE", "/tuning", None, (401, 404, 403, 409)),
    (FILE, "GET", "/spaces/{id}/resolve/main/README.md", None, READ),
    (FILE, "HEAD", "/spaces/{id}/resolve/main/README.md", None, READ),
    (GIT, "GET", "/spaces/{id}/info/refs?service=git-upload-pack", None, READ),
    (GIT, "GET", "/{id}.git/info/refs?service=git-receive-pack", None, WRITE),
    (GIT, "POST", "/spaces/{id}/git-upload-pack", "0000", READ),
    (GIT, "POST", "/spaces/{id}.git/git-receive-pack", "0000", WRITE),
    (BATCH, "POST", "/{id}.git/info/lfs/objects/batch", {"operation": "download"}, READ),
    (BATCH, "POST", "/spaces/{id}/info/lfs/objects/batch", {"operation": "upload"}, WRITE),
    (LFS, "POST", "/{id}.git/info/lfs/locks/verify", {}, (404, 404, 404, 404)),
    ("api/spaces/zero-gpu/quota", "GET", "/api/spaces/zero-gpu/quota", None, (501, 501, 501, 501)),
    (OTHER_KIND, "GET", "/{id}/resolve/main/README.md", None, (404, 404, 404, 404)),
    (OTHER_KIND, "HEAD", "/datasets/{id}/resolve/main/README.md", None, (404, 404, 404, 404)),
    ("api/organizations", "POST", "/api/organizations", {"name": "lab"}, (401, 400, 403, 400)),
    (MEMBER, "PUT", "/api/organizations/nobody/members/bob", {"role": "read"}, (401, 404, 403, 404)),
    (MEMBER, "DELETE", "/api/organizations/nobody/members/bob", None, (401, 404, 403, 404)),
    ("oauth/device", "POST", "/oauth/device", None, ANYONE),
    ("oauth/token", "POST", "/oauth/token", None, (400, 400, 400, 400)),
    ("oauth/activate", "GET", "/oauth/activate", None, ANYONE),  # a session's, not a token's: sign in there
    ("api/repos/move", "POST", "/api/repos/move", MOVE, WRITE),
    (HOOKS, "GET", "/api/settings/webhooks", None, SIGNED_IN),
    (f"{HOOKS}/<str:number>", "GET", "/api/settings/webhooks/0", None, (401, 404, 404, 404)),
    (f"{HOOKS}/<str:number>", "DELETE", "/api/settings/webhooks/0", None, (401, 404, 403, 404)),
    (f"{HOOKS}/<str:number>/<str:action>", "POST", f"/{HOOKS}/0/enable", None, (401, 404, 403, 404)),
    (f"{HOOKS}/<str:number>/deliveries", "GET", f"/{HOOKS}/0/deliveries", None, (401, 404, 404, 404)),
    ("api/users/<str:user>/overview", "GET", "/api/users/reader/overview", None, (404, 200, 200, 200)),
    ("api/users/<str:user>/likes", "GET", "/api/users/reader/likes", None, (404, 200, 200, 200)),
    ("api/users/<str:name>/followers", "GET", "/api/users/reader/followers", None, (404, 200, 200, 200)),
    ("api/users/<str:name>/following", "GET", "/api/users/reader/following", None, (404, 200, 200, 200)),
    ("api/organizations/<str:name>/overview", "GET", "/api/organizations/nobody/overview", None, (404,) * 4),
    ("api/organizations/<str:name>/members", "GET", "/api/organizations/nobody/members", None, (404,) * 4),
    ("api/organizations/<str:name>/followers", "GET", "/api/organizations/none/followers", None, (404,) * 4),
    ("api/spaces/semantic-search", "GET", "/api/spaces/semantic-search?q=canary", None, ANYONE),
    (f"{SPACE}/like", "POST", "/like", None, WRITE),
    (f"{SPACE}/likers", "GET", "/likers", None, READ),
    (f"{SPACE}/super-squash/<path:branch>", "POST", "/super-squash/main", {}, WRITE),
    (f"{SPACE}/discussions", "GET", "/discussions", None, (401, 404, 403, 403)),
    (f"{SPACE}/discussions/<path:rest>", "POST", "/discussions/1/merge", None, (401, 404, 403, 403)),
    (REQUESTS, "GET", "/user-access-request/pending", None, (401, 404, 400, 400)),
    (PUBLISHERS, "GET", "/trusted-publishers", None, WRITE),
    (f"{PUBLISHERS}/<publisher_id>", "DELETE", "/trusted-publishers/0", None, (401, 404, 403, 404)),
    ("spaces/<str:owner>/<str:name>/agents.md", "GET", "/spaces/{id}/agents.md", None, READ),
    (f"{SPACE}/builds", "GET", "/builds", None, READ),
    (f"{SPACE}/builds/<build_id>", "DELETE", "/builds/0", None, (401, 404, 403, 404)),
    (f"{SPACE}/builds/<build_id>/log", "GET", "/builds/0/log", None, (401, 404, 404, 404)),
    (f"{SPACE}/rollback", "POST", "/rollback", {"revision": "main"}, (401, 404, 403, 409)),
    (RELOAD, "POST", "/run/{id}/--replicas/+0/get-reload", {"reloadId": "x"}, (401, 404, 403, 204)),
    ("api/tiers", "GET", "/api/tiers", None, ADMINISTRATORS),
    ("api/tiers/<str:name>", "PUT", "/api/tiers/cpu", {"note": "x"}, ADMINISTRATORS),
    ("api/tiers/<str:name>", "DELETE", "/api/tiers/cpu", None, ADMINISTRATORS),
    ("api/usage", "GET", "/api/usage", None, SIGNED_IN),
    ("api/nodes", "GET", "/api/nodes", None, ADMINISTRATORS),
    ("api/nodes/<str:name>", "DELETE", "/api/nodes/none", None, ADMINISTRATORS),
    ("api/nodes/<str:name>/load", "GET", "/api/nodes/none/load", None, ADMINISTRATORS),
    ("api/nodes/<str:name>/drain", "POST", "/api/nodes/none/drain", None, ADMINISTRATORS),
    ("api/nodes/<str:name>/undrain", "POST", "/api/nodes/none/undrain", None, ADMINISTRATORS),
    ("api/join-tokens", "GET", "/api/join-tokens", None, ADMINISTRATORS),
    ("api/join-tokens", "POST", "/api/join-tokens", {}, ADMINISTRATORS),
    ("api/join-tokens/<token_id>", "DELETE", "/api/join-tokens/0", None, ADMINISTRATORS),
    ("api/node/join", "POST", "/api/node/join", {}, (400, 400, 400, 400)),
    ("api/node/check", "POST", "/api/node/check", {}, (401, 401, 401, 401)),
    ("api/node/renew", "POST", "/api/node/renew", {"request": "x"}, (401, 401, 401, 401)),
    ("api/node/spec", "POST", "/api/node/spec", {"replica": 1}, (401, 401, 401, 401)),
    ("api/node/part", "POST", "/api/node/part", {"replica": 1, "part": "code"}, (401, 401, 401, 401)),
    ("api/docs", "GET", "/api/docs", None, ANYONE),
    ("api/openapi.json", "GET", "/api/openapi.json", None, ANYONE),
    ("api/", "GET", "/api/", None, (404, 404, 404, 404)),
    (r"^api/(?P<rest>.*)$", "GET", "/api/models/{id}", None, (404, 404, 404, 404)),
]  # fmt: skip


def routes(patterns: Iterable[object], before: str = "") -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, f"{before}{pattern.pattern}")
        elif isinstance(pattern, URLPattern):
            # Ninja writes its parameters without their converter.
            yield re.sub(r"(?<!\?P)<(owner|name)>", r"<str:\1>", f"{before}{pattern.pattern}")


def test_every_route_is_in_the_table() -> None:
    assert {row[0] for row in TABLE} == set(routes(urlpatterns)) | {"api/"}


@pytest.fixture(scope="module")
def make(hub: Hub, new_space: Callable[..., str]) -> Callable[[], str]:
    """Make a private Space with a variable and a secret."""

    def private() -> str:
        space = new_space(visibility="private", space_variables=[{"key": "KEY", "value": CANARY}])
        hub.call("POST", f"/api/spaces/{space}/secrets", "alice", json=KEY)
        return space

    return private


@pytest.fixture(scope="module")
def private(make: Callable[[], str]) -> str:
    """One for all that only read."""
    return make()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[1]} {row[2]}")
def test_who_may(hub: Hub, make: Callable[[], str], private: str, row: Any) -> None:
    _, method, where, body, expected = row
    space = private if method in {"GET", "HEAD"} else make()
    if method == "DELETE" and ("/branch/" in where or "/tag/" in where):
        hub.call("POST", f"/api/spaces/{space}/branch/b", "alice", json={})
        hub.call("POST", f"/api/spaces/{space}/tag/main", "alice", json={"tag": "t"})
    if not where.startswith(WHOLE):
        where = f"/api/spaces/{{id}}{where}"
    name = space.split("/")[1]
    url = where.replace("{id}", space)
    text = body if isinstance(body, str | None) else json.dumps(body)
    data = text.replace("{name}", name).replace("{new}", f"{name}-new") if text else None
    state = hub.sql("select sha, stage, hardware, sleep_time_s from spaces_space where name = %s", name)
    for who, status in zip(("", "charlie", "alice_read", "alice"), expected, strict=True):
        headers = (
            {"Content-Type": f"application/x-{url.rpartition('/')[2]}-request"} if "/git-" in url else {}
        )
        with hub.call(method, url, who, data=data, headers=headers, stream=True) as answer:
            assert answer.status_code == status, (who, answer.text)
            if status >= 400 and "event-stream" not in answer.headers["Content-Type"]:
                assert CANARY not in answer.text
                assert "Traceback" not in answer.text
        if status in {401, 403, 404}:
            now = hub.sql("select sha, stage, hardware, sleep_time_s from spaces_space where name = %s", name)
            assert now == state, who
            assert hub.sql("select count(*) from spaces_space where name = %s", f"{name}-new") == [(0,)]


@pytest.mark.parametrize("who", ["", "charlie"])
def test_lists_do_not_name_private_spaces(hub: Hub, private: str, who: str) -> None:
    for url in (
        "/api/spaces?author=alice",
        f"/api/spaces?search={private}",
        "/api/organizations/alice/settings/repositories",
    ):
        assert f'"{private}"' not in hub.call("GET", url, who).text


def test_a_stranger_cannot_tell_a_private_space_from_none(hub: Hub, private: str) -> None:
    absent = "alice/never-was"
    for row in TABLE:
        if not row[0].startswith(f"{SPACE}/"):
            continue
        answers = []
        for one in (private, absent):
            answer = hub.call(row[1], f"/api/spaces/{one}{row[2]}", "charlie", json=row[3])
            text = answer.text.replace(one, "X")
            answers.append((answer.status_code, answer.headers.get("X-Error-Code"), text))
        assert answers[0] == answers[1], row
