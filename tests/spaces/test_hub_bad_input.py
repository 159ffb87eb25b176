"""What the official client would never send: each a clear refusal, nothing lost, nothing leaked."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.hub_server import UPLOAD_LIMIT, Hub

Make = Callable[..., str]

BAD_PATHS = (
    "../outside",
    "a/../../b",
    "/etc/passwd",
    "a//b",
    "./a",
    "a/.",
    "..",
    "",
    "a\0b",
    "a\nb",
    ".git/config",
    "a/.GIT/hooks/x",
    "a\\b",
    "x" * 201,
    "/".join(["d" * 100] * 11),
    "a/",
)


def commit(hub: Hub, space: str, *lines: Any, who: str = "alice") -> Any:
    """Send these operations as one commit."""
    body = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return hub.call(
        "POST", f"/api/spaces/{space}/commit/main", who,
        data=body.encode(), headers={"Content-Type": "application/x-ndjson"},
    )  # fmt: skip


def file(path: str, content: str = "eA==") -> dict[str, Any]:
    return {"key": "file", "value": {"path": path, "content": content, "encoding": "base64"}}


HEADER = {"key": "header", "value": {"summary": "s"}}


def head(hub: Hub, space: str) -> str:
    return str(hub.call("GET", f"/api/spaces/{space}", "alice").json()["sha"])


@pytest.fixture(scope="module")
def space(new_space: Make) -> str:
    """One for all tests that change nothing in it: to make one costs more than they do."""
    return new_space()


@pytest.mark.parametrize("path", BAD_PATHS)
def test_paths_outside_the_repository_are_refused(hub: Hub, space: str, path: str) -> None:
    before = head(hub, space)
    for answer in (
        commit(hub, space, HEADER, file(path)),
        hub.call(
            "POST",
            f"/api/spaces/{space}/preupload/main",
            "alice",
            json={"files": [{"path": path, "size": 1}]},
        ),
    ):
        # No JSON has a NUL here; a commit's lines are read one by one.
        assert answer.status_code in ({400, 422} if "\0" in path else {422}), answer.text
        assert answer.headers["X-Error-Message"]
    assert head(hub, space) == before


@pytest.mark.parametrize(
    "revision",
    [
        "..%2F..%2F..%2F..%2F..%2Fetc%2Fpasswd",
        "refs%2F..%2Fconfig",
        "%F0%9F",
        "..%2F..%2Fconfig",
        "refs%2Fheads%2F",
        "main.lock",
        "@%7B0%7D",
        "HEAD~1",
        "-x",
    ],
)
def test_revisions_cannot_lead_to_other_files(hub: Hub, space: str, revision: str) -> None:
    for path in (f"/api/spaces/{space}/revision/{revision}", f"/api/spaces/{space}/tree/{revision}",
                 f"/spaces/{space}/resolve/{revision}/README.md"):  # fmt: skip
        answer = hub.call("GET", path)
        assert answer.status_code == 404, (path, answer.text)
        assert answer.headers["X-Error-Code"] == "RevisionNotFound"
        assert "root:" not in answer.text


@pytest.mark.parametrize(
    "path", ["..%2F..%2Fconfig", "..%2F", ".git%2Fconfig", "%2Fetc%2Fpasswd", "%FF", "a%0Db"]
)
def test_paths_that_are_read_cannot_lead_outside(hub: Hub, space: str, path: str) -> None:
    for url in (f"/spaces/{space}/resolve/main/{path}", f"/api/spaces/{space}/tree/main/{path}"):
        answer = hub.call("GET", url)
        assert (answer.status_code, answer.headers["X-Error-Code"]) == (404, "EntryNotFound"), url


def test_a_line_over_the_limit_is_refused_on_arrival(hub: Hub, space: str) -> None:
    before = head(hub, space)
    big = base64.b64encode(b"x" * (UPLOAD_LIMIT + 1)).decode()
    answer = commit(hub, space, HEADER, file("big", big))
    assert answer.status_code == 413
    assert f"{UPLOAD_LIMIT:,}" in answer.headers["X-Error-Message"]
    bigger = base64.b64encode(b"x" * (2 * UPLOAD_LIMIT)).decode()
    assert commit(hub, space, HEADER, file("big", bigger)).status_code == 413
    assert head(hub, space) == before


@pytest.mark.parametrize(
    "lines",
    [
        ("{",),
        ("[]",),
        ("null",),
        ('{"key":"file"}',),
        ('{"key":"file","value":[]}',),
        (file("a", "not base64!"),),
        ({"key": "file", "value": {"path": "a", "content": 5, "encoding": "base64"}},),
        ({"key": "file", "value": {"path": ["a"], "content": ""}},),
        ({"key": "explode", "value": {}},),
        ({"key": "lfsFile", "value": {"path": "a", "algo": "sha256", "oid": "0" * 64, "size": 1}},),
        ({"key": "header", "value": {"summary": 5, "parentCommit": {}}}, file("ok")),
        ({"key": "deletedFile", "value": {"path": "../x"}},),
        ("[" * 100_000,),
    ],
)
def test_malformed_commits_change_nothing(hub: Hub, space: str, lines: tuple[Any, ...]) -> None:
    before = head(hub, space)
    answer = commit(hub, space, file("before"), *lines)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["error"]
    assert head(hub, space) == before


CARDS = {
    "bomb": "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n",
    "self reference": "a: &a [*a]\n",
    "object": "a: !!python/object/apply:os.system ['true']\n",
    "huge": "x: " + "y" * 20_000 + "\n",
    "no mapping": "- a\n- b\n",
    "nul": 'title: "a\\0b"\n',
    "surrogate": 'title: "\\ud800"\n',
    "huge number": "n: 0x" + "f" * 8000 + "\n",
    "port": "app_port: 70000\n",
    "app file outside": "app_file: ../../etc/passwd\n",
    "app file absolute": "app_file: /etc/passwd\n",
    "app file as option": "app_file: --help\n",
    "deep": "a: " + "[" * 7000 + "]" * 7000 + "\n",
}


@pytest.mark.parametrize("name", CARDS)
def test_bad_cards_are_an_error_with_a_reason_and_the_space_goes_on(
    hub: Hub, new_space: Make, name: str
) -> None:
    space = new_space()
    text = f"---\n{CARDS[name]}---\n"
    answer = hub.call("POST", "/api/validate-yaml", json={"content": text, "repoType": "space"})
    assert answer.status_code == 400
    assert "README.md" in answer.json()["errors"][0]["message"]
    # By git, or by a client that does not ask, it comes all the same.
    done = commit(hub, space, HEADER, file("README.md", base64.b64encode(text.encode()).decode()))
    assert done.status_code == 200, done.text
    runtime = hub.call("GET", f"/api/spaces/{space}/runtime", "alice").json()
    assert runtime["stage"] == "CONFIG_ERROR"
    assert "README.md" in runtime["errorMessage"]
    assert hub.call("POST", f"/api/spaces/{space}/restart", "alice").json()["stage"] == "CONFIG_ERROR"
    fixed = base64.b64encode(b"---\nsdk: static\n---\n").decode()
    assert commit(hub, space, HEADER, file("README.md", fixed)).status_code == 200
    assert hub.call("GET", f"/api/spaces/{space}/runtime").json()["stage"] == "RUNNING"


def test_unknown_hardware_is_refused_naming_what_there_is(hub: Hub, space: str) -> None:
    for path, body in (
        (f"/api/spaces/{space}/hardware", {"flavor": "quantum", "sleepTimeSeconds": 60}),
        ("/api/repos/create", {"name": "x", "type": "space", "sdk": "gradio", "hardware": "quantum"}),
    ):
        answer = hub.call("POST", path, "alice", json=body)
        assert answer.status_code == 400
        assert "a100" in answer.headers["X-Error-Message"]
    runtime = hub.call("GET", f"/api/spaces/{space}/runtime").json()
    assert (runtime["hardware"]["requested"], runtime["gcTimeout"]) == ("cpu-basic", None)


@pytest.mark.parametrize("seconds", [-2, 2**31, 10**30, 1.5, "60", None, True, [], {}])
def test_bad_sleep_times(hub: Hub, space: str, seconds: Any) -> None:
    answer = hub.call("POST", f"/api/spaces/{space}/sleeptime", "alice", json={"seconds": seconds})
    assert answer.status_code == 400
    body = {"name": "sleepy", "type": "space", "sdk": "gradio", "sleepTimeSeconds": seconds}
    if seconds is not None:  # there, none was asked for
        assert hub.call("POST", "/api/repos/create", "alice", json=body).status_code == 400


QUEUE = [
    ("concurrency_count", 0),
    ("concurrency_count", -1),
    ("concurrency_count", 10**30),
    ("concurrency_count", "2"),
    ("concurrency_count", True),
    ("max_running", 0),
    ("max_running", "2"),
    ("groups", None),
    ("groups", ["/a"]),
    ("groups", {"/nobody": 2}),
    ("groups", {"/nobody": "many"}),
    ("groups", {"/nobody": 1.5}),
    ("max_size", -5),
    ("max_size", 0),
    ("max_size", 10**9),
    ("batch", "yes"),
    ("batch", 1),
    ("max_batch_size", 0),
    ("max_batch_size", 10**6),
    ("api_open", None),
    ("max_threads", 0),
    ("max_threads", 1e99),
    ("unknown", 1),
    ("owner", "charlie"),
]


@pytest.mark.parametrize(("name", "value"), QUEUE)
def test_bad_queue_settings_are_refused_by_name(hub: Hub, space: str, name: str, value: Any) -> None:
    url = f"/api/spaces/{space}/queue"
    before = hub.call("GET", url).json()
    answer = hub.call("PUT", url, "alice", json={"concurrency_count": 3, name: value})
    assert answer.status_code == 400, answer.text
    assert name in answer.headers["X-Error-Message"]
    assert hub.call("GET", url).json() == before


JUNK: list[Any] = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"5",
    b'"x"',
    b"\xff\xfe",
    b"[" * 50_000,
    b'{"a":' * 5_000,
    b'{"name":"a\\u0000b","type":"space"}',
    b'{"name":"a\\ud800b","type":"space"}',
    {"name": ["x"], "type": "space"},
    {"name": "x", "type": "space", "hardware": ["cpu"]},
    {"name": "x", "type": "space", "sdk": {"a": 1}},
    {"name": "x", "type": "space", "secrets": 5},
    {"name": "x", "type": "space", "secrets": [{"key": "A", "value": {"b": 1}}]},
    {"name": "x", "type": "space", "variables": [{"key": "A B"}]},
    {"name": "x", "type": "space", "visibility": ["public"]},
    {"name": "x", "type": "space", "organization": {"a": 1}},
    {"key": 5, "value": "x"},
    {"key": "A", "value": 5},
    {"key": "A" * 200, "value": "x"},
    {"key": "A", "value": "x" * 70_000},
    {"flavor": ["cpu"]},
    {"flavor": None},
    {"visibility": 5},
    {"files": [{"path": 5}]},
    {"files": {}},
    {"seconds": {}},
    {"content": 5},
    {"name": "x", "type": "model"},
    {"repository": 5},
    {"repository": "a/b/c"},
    {"tag": 5},
    {"startingPoint": [1]},
]
POSTS = [
    "/api/repos/create",
    "/api/repos/delete",
    "/api/validate-yaml",
    "{}/settings",
    "{}/preupload/main",
    "{}/commit/main",
    "{}/paths-info/main",
    "{}/hardware",
    "{}/sleeptime",
    "{}/secrets",
    "{}/variables",
    "{}/duplicate",
    "{}/branch/b",
    "{}/tag/main",
    "{}/queue",
]


METHODS = {
    "{}/queue": ("PUT",),
    "{}/settings": ("PUT",),
    "/api/repos/delete": ("DELETE",),
    "{}/secrets": ("POST", "DELETE"),
    "{}/variables": ("POST", "DELETE"),
    "{}/branch/b": ("POST", "DELETE"),
}


@pytest.mark.parametrize("path", POSTS)
def test_junk_is_never_an_error_of_ours(hub: Hub, new_space: Make, path: str) -> None:
    space = new_space()
    url = path.format(f"/api/spaces/{space}")
    for junk in JUNK:
        content = junk if isinstance(junk, bytes) else json.dumps(junk).encode()
        for method in METHODS.get(path, ("POST",)):
            answer = hub.call(
                method, url, "alice", data=content, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code < 500, (method, url, junk, answer.text)
            told = answer.headers["Content-Type"].startswith("application/json")
            assert told or answer.status_code == 405, (method, url, junk, answer.text[:300])
    assert hub.call("GET", f"/api/spaces/{space}").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/spaces/a%0Db/c%0A",
        "/api/spaces/%FF/%FE",
        "/api/spaces/ü/ß",
        "/api/spaces/a/b/c/d",
        "/api/nothing",
        "/api/spaces/a/" + "b" * 5000,
        "/api/models/x/y",
    ],
)
def test_unknown_paths_are_json_404s(hub: Hub, path: str) -> None:
    answer = hub.call("GET", path, "alice")
    assert answer.status_code == 404
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "query",
    [
        "search=%00",
        "author=%00",
        "filter=%00",
        "limit=-1",
        "limit=x",
        "limit=0",
        "limit=99999999999",
        "cursor=-1",
        "cursor=x",
        "cursor=" + "9" * 30,
        "limit=²",
        "expand=%00",
        "sort=%27",
    ],
)
def test_odd_queries_of_the_list(hub: Hub, space: str, query: str) -> None:
    answer = hub.call("GET", f"/api/spaces?{query}")
    assert answer.status_code in {200, 400}, answer.text
    assert answer.json() is not None


def test_credentials_that_are_nobodys(hub: Hub, space: str) -> None:
    for value in (
        "Bearer hf_" + "x" * 34,
        "Bearer ",
        "Basic !",
        "Basic " + "eA==",
        "Bearer " + "x" * 5000,
    ):
        answer = hub.call("GET", f"/api/spaces/{space}", headers={"Authorization": value.encode("latin-1")})
        assert answer.status_code == 401
        assert answer.headers["X-Error-Message"] == "Invalid credentials in Authorization header"
