"""Static Spaces answer as browsers expect: folders, ranges, validation of copies, a 404 page, headers."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import requests
from huggingface_hub import CommitOperationAdd

from tests.hub_server import Hub
from tests.spaces.lfs import oid_of
from tests.spaces.standin import Standin, serve
from tests.waiting import wait_until

README = b"""---
sdk: static
app_file: dist/index.html
custom_headers:
  cross-origin-embedder-policy: require-corp
  cross-origin-opener-policy: same-origin
---
"""
LARGE = bytes(range(256)) * 10_000  # more than is read whole
FILES = {
    "README.md": README,
    "top.txt": b"top",
    "dist/index.html": b"<p>first</p>",
    "dist/404.html": b"<p>lost</p>",
    "dist/assets/main.mjs": b"export default 1",
    "dist/assets/\u00fcn\u00ef 1.txt": b"named",
    "dist/docs/index.html": b"<p>docs</p>",
    "dist/large.bin": LARGE,
    ".gitattributes": b"*.glb filter=lfs diff=lfs merge=lfs -text\n",
    "dist/by-lfs.glb": LARGE,
    "dist/small.glb": b"scene",
}
Get = Callable[..., requests.Response]


@pytest.fixture(scope="module")
def get(hub: Hub) -> Get:
    """Ask the Space's own host."""
    space = "alice/pages"
    hub.api("alice").create_repo(space, repo_type="space", space_sdk="static")
    hub.api("alice").create_commit(
        space, [CommitOperationAdd(name, content) for name, content in FILES.items()],
        repo_type="space", commit_message="all",
    )  # fmt: skip

    def ask(path: str, method: str = "GET", **headers: str) -> requests.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.request(
            method, f"{hub.url}{path}", headers={"Host": "alice-pages.localhost", **named},
            allow_redirects=False, timeout=30,
        )  # fmt: skip

    wait_until(lambda: ask("/").status_code == 200, "it is served")
    return ask


def test_large_files_are_served_as_they_are_and_not_as_pointers(get: Get) -> None:
    assert get("/small.glb").content == b"scene"
    whole = get("/by-lfs.glb")
    assert (whole.content == LARGE, whole.headers["ETag"]) == (True, f'"{oid_of(LARGE)}"')
    part = get("/by-lfs.glb", Range="bytes=1000000-1000009")
    assert (part.status_code, part.content) == (206, LARGE[1000000:1000010])
    assert get("/by-lfs.glb", If_None_Match=whole.headers["ETag"]).status_code == 304


def test_files_beside_the_apps_file_are_found_and_so_are_those_at_the_top(get: Get) -> None:
    assert get("/").content == get("/index.html").content == get("/dist/").content == b"<p>first</p>"
    assert get("/assets/%C3%BCn%C3%AF%201.txt").content == b"named"
    assert get("/top.txt").content == b"top"
    assert get("/assets/main.mjs").headers["content-type"].startswith("text/javascript")


def test_the_cards_headers_come_with_every_answer(get: Get) -> None:
    for path in ("/", "/assets/main.mjs", "/docs", "/nowhere"):
        headers = get(path).headers
        assert headers["cross-origin-embedder-policy"] == "require-corp"
        assert headers["cross-origin-opener-policy"] == "same-origin"


def test_an_app_that_sets_such_a_header_itself_gives_way_to_its_card(
    hub: Hub, space: str, standin: Standin
) -> None:
    name, wanted = "cross-origin-opener-policy", "same-origin"
    route = serve(hub, space, standin, headers=((name, wanted),))
    query = {"answer": json.dumps([[name, "unsafe-none"]])}
    host = {"Host": f"{route.subdomain}.localhost"}
    answer = requests.get(f"{hub.url}/x", params=query, headers=host, timeout=30)
    assert (answer.status_code, answer.headers[name]) == (200, wanted)
    # The programs' door is on the platform's own host, whose pages it must not change.
    assert name not in requests.get(f"{hub.url}/run/{space}/x", timeout=30).headers


def test_a_folder_is_a_page_below_its_slash(get: Get) -> None:
    answer = get("/docs?a=1")
    assert (answer.status_code, answer.headers["location"]) == (302, "./docs/?a=1")
    assert get("/docs/").content == b"<p>docs</p>"


def test_what_is_not_there_gets_the_spaces_own_page(get: Get) -> None:
    answer = get("/nowhere")
    assert (answer.status_code, answer.content) == (404, b"<p>lost</p>")


def test_a_copy_that_is_still_good_is_not_sent_again(get: Get) -> None:
    etag = get("/").headers["etag"]
    answer = get("/", if_none_match=etag)
    assert (answer.status_code, answer.content) == (304, b"")
    assert get("/", if_none_match='"another"').status_code == 200
    assert get("/", if_none_match="*").status_code == 304


@pytest.mark.parametrize("path", ["/large.bin", "/top.txt"])
def test_a_part_is_sent_alone(get: Get, path: str) -> None:
    whole = FILES.get(f"dist{path}", FILES.get(path[1:], b""))
    size = len(whole)
    for asked, start, end in (("1-2", 1, 2), ("-2", size - 2, size - 1), ("1-", 1, size - 1)):
        answer = get(path, range=f"bytes={asked}")
        assert answer.status_code == 206
        assert answer.headers["content-range"] == f"bytes {start}-{end}/{size}"
        assert answer.content == whole[start : end + 1]
    assert get(path, range=f"bytes={size}-").status_code == 416
    assert get(path, range="bytes=1-2", if_range='"another"').content == whole
    head = get(path, "HEAD", range="bytes=1-2")
    headers = head.headers
    assert head.status_code == 200, "a range is for GET"
    assert (headers["content-length"], headers["accept-ranges"]) == (str(size), "bytes")
