"""What is served of a stranger's files, and that the pages of the API load nothing from elsewhere."""

from __future__ import annotations

import pytest

from tests.hub_server import Hub


def test_ranges_of_a_file(hub: Hub, space: str) -> None:
    hub.api("alice").upload_file(
        path_or_fileobj=b"0123456789", path_in_repo="d.txt", repo_id=space, repo_type="space"
    )
    url = f"/spaces/{space}/resolve/main/d.txt"
    for asked, status, body, told in (
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=5-99", 206, b"56789", "bytes 5-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=0-1,4-5", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
    ):
        answer = hub.call("GET", url, headers={"Range": asked})
        assert (answer.status_code, answer.content, answer.headers.get("Content-Range")) == (
            status,
            body,
            told,
        )
    head = hub.call("HEAD", url)
    assert (head.headers["Content-Length"], head.content) == ("10", b"")
    assert head.headers["ETag"] == hub.call("GET", url).headers["ETag"]


def test_who_has_the_file_gets_no_content(hub: Hub, space: str) -> None:
    url = f"/spaces/{space}/resolve/main/README.md"
    first = hub.call("GET", url)
    for known in (first.headers["ETag"], f'"other", {first.headers["ETag"]}'):
        again = hub.call("GET", url, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert again.headers["X-Repo-Commit"] == first.headers["X-Repo-Commit"]
    changed = hub.call("GET", url, headers={"If-None-Match": '"other"'})
    assert (changed.status_code, changed.content) == (200, first.content)


@pytest.mark.parametrize("file", ["page.html", "script.js", "drawing.svg", "page.xhtml", "feed.xml"])
def test_a_strangers_file_runs_nothing_on_the_platforms_host(hub: Hub, space: str, file: str) -> None:
    hub.api("alice").upload_file(
        path_or_fileobj=b"<script>alert(1)</script>", path_in_repo=file, repo_id=space, repo_type="space"
    )
    answer = hub.call("GET", f"/spaces/{space}/resolve/main/{file}")
    assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Type"].startswith(("text/plain", "image/svg"))


def test_the_openapi_page_loads_nothing_from_elsewhere(hub: Hub) -> None:
    page = hub.call("GET", "/api/docs")
    assert page.status_code == 200
    assert "//cdn" not in page.text
    schema = hub.call("GET", "/api/openapi.json").json()
    assert "/api/spaces/{owner}/{name}/queue" in schema["paths"]
    assert "/api/repos/create" in schema["info"]["description"]


def test_an_escaped_backslash_is_no_nul(hub: Hub, space: str) -> None:
    api = hub.api("alice")
    api.add_space_variable(space, "LITERAL", "\\u0000 is only text")
    assert api.get_space_variables(space)["LITERAL"].value == "\\u0000 is only text"
