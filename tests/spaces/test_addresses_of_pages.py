"""At which address a browser ends up: the app's own wherever a cookie or nothing at all opens it, one with a
token where nothing else is left, the platform's where somebody has to say who they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from queueing.routes import App
from spaces.gateway import page_tokens
from spaces.gateway.proxy import http
from tests.hub_server import Hub
from tests.spaces.standin import Standin, serve
from tests.spaces.test_rights_are_asked_now import Private

TAB = {"Accept": "text/html", "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
FRAME = {**TAB, "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "cross-site"}
GRADIO = App(protocol="sse_v3", version="6.31.0", prefix="/gradio_api", pages=("", "second"))


@pytest.fixture(params=["gradio", "another"])
def private(
    request: pytest.FixtureRequest, hub: Hub, new_space: Callable[..., str], standin: Standin
) -> Private:
    """A private Space of alice's."""
    app = GRADIO if request.param == "gradio" else App()
    space = new_space("alice", visibility="private")
    route = serve(hub, space, standin, app=app)
    [(alice,)] = hub.sql("select id from accounts_user where username = 'alice'")
    return Private(hub, space, route.space_id, f"{route.subdomain}.localhost:{hub.port}", alice, "alice")


def get(private: Private, path: str, **headers: str) -> requests.Response:
    sent = {"Host": private.host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return requests.get(f"{private.hub.url}{path}", headers=sent, timeout=30, allow_redirects=False)


def test_a_visit_becomes_a_cookie_and_leaves_the_address(private: Private) -> None:
    first = get(private, f"/second?q=7&__visit={private.visit()}", **FRAME)
    assert first.status_code == 303
    assert first.headers["Location"].startswith(page_tokens.PREFIX)
    assert first.headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    cookie = first.headers["Set-Cookie"]
    assert cookie.startswith("__Host-spaceport-pass=")
    assert {"Secure", "HttpOnly", "Partitioned", "SameSite=None", "Path=/"} <= set(cookie.split("; "))
    kept = get(private, first.headers["Location"], Cookie=cookie.split(";")[0], **FRAME)
    assert kept.status_code == 303
    query = parse_qs(urlsplit(kept.headers["Location"]).query)
    assert urlsplit(kept.headers["Location"]).path == "/second"
    assert query.keys() == {"q", "__visit"}
    address = f"/second?q=7&__visit={query['__visit'][0]}"
    assert get(private, address, **FRAME).status_code == 404, "the address alone opens nothing"
    page = get(private, address, Cookie=cookie.split(";")[0], **FRAME)
    assert page.status_code == 200
    assert "__visit" not in page.json()["query"]


def test_without_a_cookie_the_token_stays_in_the_address(private: Private) -> None:
    where = f"/second?__visit={private.visit()}"
    for _ in range(3):
        answer = get(private, where, **FRAME)
        if answer.status_code == 200:
            break
        where = answer.headers["Location"]
    assert answer.status_code == 200
    assert where.startswith(page_tokens.PREFIX)
    page = f"http://{private.host}{where}"
    led = get(private, "/deep/style.css", Referer=page)
    assert (led.status_code, led.headers["Location"]) == (303, where.replace("/second", "/deep/style.css"))
    assert get(private, led.headers["Location"]).status_code == 200
    posted = requests.post(
        f"{private.hub.url}/api", headers={"Host": private.host, "Referer": page}, timeout=30
    )
    assert posted.status_code == 200
    moved = get(private, f'{where}?status=302&answer=[["Location","/login"]]')
    assert moved.headers["Location"] == where.replace("/second", "/login")


def test_a_page_of_gradio_leaves_its_token_behind(hub: Hub, space: str, standin: Standin) -> None:
    route = serve(hub, space, standin, app=GRADIO)
    public = Private(hub, space, route.space_id, f"{route.subdomain}.localhost:{hub.port}", 0, "")
    key = (hub.home / "secret_key").read_text()
    plain = page_tokens.make(key, route.space_id, visit="", user_id=0)
    assert get(public, f"/_ui/{plain}/second?q=7", **TAB).headers["Location"] == "/second?q=7"
    assert get(public, f"/_ui/{plain}/second", Accept="*/*").status_code == 200, "only what opens a page"
    visited = get(public, f"/_ui/{public.token()}/second", **FRAME).headers["Location"]
    assert visited.startswith("/second?__visit=")
    for path in ("//evil.example/", "///evil.example"):
        assert get(public, f"/_ui/{plain}{path}", **TAB).headers["Location"].startswith("/evil.example")


def test_who_opens_it_directly_goes_by_way_of_the_platform(private: Private) -> None:
    hub = private.hub
    known = get(private, "/second?q=7", **TAB)
    unknown = requests.get(
        f"{hub.url}/second?q=7", headers={**TAB, "Host": f"no-such.localhost:{hub.port}"},
        timeout=30, allow_redirects=False,
    )  # fmt: skip
    label = private.host.partition(".")[0]
    assert known.status_code == unknown.status_code == 303
    assert known.headers["Location"] == unknown.headers["Location"].replace("no-such", label)
    assert get(private, "/second?q=7", **FRAME).status_code == 404, "no frame shows the platform"
    assert get(private, "/second?q=7").status_code == 404
    way = urlsplit(known.headers["Location"])
    token = {"Authorization": f"Bearer {hub.tokens['alice']}"}
    for who in ({}, token):  # a session is asked for, not a token
        answer = requests.get(f"{hub.url}{way.path}?{way.query}", headers=who, timeout=30)
        assert answer.status_code == 404


async def test_a_page_is_changed_once_and_early() -> None:
    async def said(*chunks: bytes) -> bytes:
        async def each() -> AsyncIterator[bytes]:
            for chunk in chunks:
                yield chunk

        return b"".join([chunk async for chunk in http.changed(each(), (b"old", b"new!"))])

    assert await said(b"an o", b"l", b"d and old", b" one") == b"an new! and old one"
    assert await said(b"nothing", b" here") == b"nothing here"
    assert await said() == b""
    late = b"x" * http.CHANGES_WITHIN
    assert await said(late, b"x", b"old") == late + b"xold"
