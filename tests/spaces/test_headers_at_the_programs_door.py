"""What an app may say at the programs' door, which is the platform's own host: an allow-list, its redirects
to itself only, nothing for shared caches. On demo hosts nearly everything; no order to a proxy anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from spaces.gateway.proxy.door import Door
from spaces.gateway.proxy.headers import location
from tests.hub_server import Hub
from tests.spaces.standin import Standin, serve

Ask = Callable[..., requests.Response]

ORDERS = {
    "NEL": '{"report_to":"x","max_age":86400}',
    "Report-To": '{"group":"x","max_age":86400,"endpoints":[{"url":"https://evil.example"}]}',
    "Reporting-Endpoints": 'x="https://evil.example"',
    "Refresh": "0;url=https://evil.example",
    "Link": "<https://evil.example>; rel=preload",
    "WWW-Authenticate": 'Basic realm="Spaceport"',
    "Proxy-Authenticate": "Basic",
    "Clear-Site-Data": '"*"',
    "Content-Security-Policy-Report-Only": "default-src 'none'; report-uri https://evil.example",
    "SourceMap": "https://evil.example",
    "X-SourceMap": "https://evil.example",
    "Alt-Svc": 'h3="evil.example:443"',
    "Service-Worker-Allowed": "/",
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Allow-Private-Network": "true",
    "Strict-Transport-Security": "max-age=9",
    "Expires": "Thu, 01 Jan 2099 00:00:00 GMT",
    "Surrogate-Control": "max-age=99",
    "CDN-Cache-Control": "public",
    "Set-Login": "logged-in",
    "Speculation-Rules": '"/rules.json"',
    "Document-Policy": "x",
    "Permissions-Policy": "camera=*",
    "Accept-CH": "Sec-CH-UA-Full",
    "Critical-CH": "Sec-CH-UA-Full",
    "Public-Key-Pins": "x",
    "X-Accel-Redirect": "/internal",
    "X-Sendfile": "/etc/passwd",
    "X-Forwarded-Host": "evil.example",
    "X-Frame-Options": "ALLOWALL",
    "X-XSS-Protection": "0",
    "X-DNS-Prefetch-Control": "on",
    "Anything-Unknown": "1",
}
KEPT = {
    "ETag": '"1"',
    "Retry-After": "3",
    "Mcp-Session-Id": "m",
    "X-Own": "o",
    "X-Accel-Buffering": "no",
    "Vary": "Accept",
}


@pytest.fixture
def ask(hub: Hub, space: str, standin: Standin) -> Ask:
    """Send a request to the Space by one of its doors; the app answers with the headers given."""
    route = serve(hub, space, standin)

    def ask(
        path: str = "x", *, answer: dict[str, str] | None = None, demo: bool = False, **query: Any
    ) -> requests.Response:
        base = f"{hub.url}/" if demo else f"{hub.url}/run/{space}/"
        host = {"Host": f"{route.subdomain}.localhost:{hub.port}"} if demo else {}
        params = {**query, "answer": json.dumps(list((answer or {}).items()))}
        return requests.get(f"{base}{path}", params=params, headers=host, timeout=30, allow_redirects=False)

    return ask


def test_a_space_orders_nothing_on_the_platforms_host(ask: Ask) -> None:
    answer = ask(answer=ORDERS | KEPT)
    assert answer.status_code == 200
    assert not {name.lower() for name in answer.headers} & {name.lower() for name in ORDERS}
    assert {name: answer.headers[name] for name in KEPT} == KEPT
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("public, max-age=60", "private, max-age=60"),
        ("s-maxage=60", "private"),
        ("no-store", "private, no-store"),
        ("Public,Max-Age=5 , immutable", "private, Max-Age=5, immutable"),
        ("max-age=1, stale-while-revalidate=99", "private, max-age=1"),
    ],
)
def test_no_shared_cache_keeps_an_answer_of_the_programs_door(ask: Ask, said: str, told: str) -> None:
    assert ask(answer={"Cache-Control": said}).headers["Cache-Control"] == told


def test_on_its_own_host_an_app_says_what_it_likes_but_no_orders_to_a_proxy(ask: Ask) -> None:
    answer = ask(answer=ORDERS | {"Cache-Control": "public, max-age=60"}, demo=True)
    assert answer.headers["Anything-Unknown"] == "1"
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert answer.headers["Link"] == ORDERS["Link"]
    assert not {"X-Accel-Redirect", "X-Sendfile", "Clear-Site-Data"} & set(answer.headers)
    assert answer.headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    chosen = ask(answer={"Referrer-Policy": "no-referrer"}, demo=True)
    assert chosen.headers["Referrer-Policy"] == "no-referrer"


def test_a_redirect_of_the_app_leads_to_the_app(ask: Ask, space: str) -> None:
    for said, told in [
        ("/other", f"/run/{space}/other"),
        ("other?a=1#b", f"/run/{space}/a/other?a=1#b"),
        ("../../../../login", f"/run/{space}/login"),
    ]:
        assert ask("a/b", answer={"Location": said}, status=302).headers["Location"] == told
    elsewhere = ask("a/b", answer={"Location": "https://evil.example/"}, status=302)
    assert (elsewhere.status_code, elsewhere.headers.get("Location")) == (302, None)
    demo = ask("a/b", answer={"Location": "https://elsewhere.example/"}, status=302, demo=True)
    assert demo.headers["Location"] == "https://elsewhere.example/"


DOOR = Door(space_id=1, host="spaces.example:8000", path="/run/ann/x", at="/a/b")


@pytest.mark.parametrize(
    "value",
    [
        "//evil.example/", "https://evil.example", "/\\evil.example", "\\\\evil.example", "http:evil.example",
        "javascript:alert(1)", "https://spaces.example:8000@evil.example/", "/\tx", " //evil.example",
        "https://spaces.example/x", "http://[evil", "data:text/html,x", "/%2e%2e/%2e%2e/login", "ftp://a/b",
        "https://user@spaces.example:8000/x", "/run/ann/x/../../../login", "\x00/x",
    ],
)  # fmt: skip
def test_no_redirect_leads_elsewhere(value: str) -> None:
    led = location(value, DOOR)
    assert led is None or (led.startswith("/run/ann/x/") and ".." not in led), led


@pytest.mark.parametrize(
    ("value", "led"),
    [
        ("", "/run/ann/x/a/b"),
        ("?q=1", "/run/ann/x/a/b?q=1"),
        ("///evil.example/", "/run/ann/x/evil.example/"),
        ("http://spaces.example:8000/run/ann/x/login", "/run/ann/x/login"),
        ("https://SPACES.example:8000/login/", "/run/ann/x/login/"),
        ("/run/ann/xy", "/run/ann/x/run/ann/xy"),
    ],
)
def test_a_redirect_to_the_app_itself_is_told_by_its_place_at_the_door(value: str, led: str) -> None:
    assert location(value, DOOR) == led
