"""Cookies of apps: at the programs' door they come back to their Space and to nobody else, and never meet the
platform's; browsers get none there. On demo hosts none is for other hosts."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from http.cookies import SimpleCookie

import pytest
import requests

from spaces.gateway.proxy import cookies, credentials
from spaces.gateway.proxy.door import Door
from tests.hub_server import Hub
from tests.spaces.standin import Standin, serve

DOOR = Door(space_id=7, host="spaces.example", path="/run/ann/x")
DEMO = Door(space_id=7, host="ann-x.demos.example")
UNREAL = "hf_" + "x" * 34


def sent(answer: requests.Response, name: str) -> str | None:
    """What the app was sent under this header."""
    pairs: list[tuple[str, str]] = answer.json()["headers"]
    found = [value for key, value in pairs if key == name]
    assert len(found) < 2
    return found[0] if found else None


def test_a_session_lives_in_a_clients_jar_and_reaches_its_space_only(
    hub: Hub, new_space: Callable[..., str], standin: Standin
) -> None:
    one, other = new_space(), new_space()
    ids = {space: serve(hub, space, standin).space_id for space in (one, other)}
    client = requests.Session()
    client.cookies.set("sessionid", "of the platform", domain="127.0.0.1")
    client.cookies.set("csrftoken", "of the platform", domain="127.0.0.1")
    for space in (one, other):
        answer = json.dumps([["Set-Cookie", f"session=of-{space.replace('/', '.')}; Path=/; HttpOnly"]])
        client.get(f"{hub.url}/run/{space}/login", params={"answer": answer}, timeout=30)
    for space in (one, other):
        told = client.get(f"{hub.url}/run/{space}/deep/inside", timeout=30)
        assert sent(told, "cookie") == f"session=of-{space.replace('/', '.')}"
    names = {cookie.name: cookie.path for cookie in client.cookies}
    assert names == {
        "sessionid": "/",
        "csrftoken": "/",
        **{f"space-{ids[space]}-session": f"/run/{space}/" for space in (one, other)},
    }
    # Whoever sends all it has, as gradio_client does, sends each Space its own too.
    everything = {cookie.name: str(cookie.value) for cookie in client.cookies}
    told = requests.get(f"{hub.url}/run/{one}/x", cookies=everything, timeout=30)
    assert sent(told, "cookie") == f"session=of-{one.replace('/', '.')}"
    # And the platform is sent none of them.
    assert "of-" not in str(client.get(f"{hub.url}/api/spaces", timeout=30).request.headers["Cookie"])


def test_browsers_get_no_cookie_of_an_app_on_the_platforms_host(
    hub: Hub, space: str, standin: Standin
) -> None:
    route = serve(hub, space, standin)
    answer = json.dumps([["Set-Cookie", f"c{n}=1"] for n in range(60)])
    url = f"{hub.url}/run/{space}/x"
    cookie = {"Cookie": f"sessionid=s; space-{route.space_id}-a=1"}
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
        {"User-Agent": "Mozilla/5.0 (X11)"},
    ):
        told = requests.get(url, params={"answer": answer}, headers={**headers, **cookie}, timeout=30)
        assert "Set-Cookie" not in told.headers
        assert sent(told, "cookie") is None
    program = requests.get(url, params={"answer": answer}, headers=cookie, timeout=30)
    assert len(program.raw.headers.getlist("Set-Cookie")) == cookies.MOST
    assert sent(program, "cookie") == "a=1"


@pytest.mark.parametrize(
    "said",
    [
        "sessionid=x", "SessionId=x; Path=/", "csrftoken=x; Domain=spaces.example; Path=/",
        "__Host-a=1; Secure; Path=/", "__Secure-a=1; Secure; Domain=example", "a=1; Path=/login",
        "a=1; Path=/run/ann/x/../../..; SameSite=None",
        "a=1; path=/; PATH=/; domain=.example; DOMAIN=example", "a=1; Priority=High; Partitioned; SameParty",
        'a="quoted, \\"value\\""; Max-Age=60', "a=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    ],
)  # fmt: skip
def test_whatever_a_cookie_says_it_is_of_its_space_alone(said: str) -> None:
    told = cookies.of_answer(said, DOOR)
    assert told is not None
    pair, *attributes = told.split("; ")
    assert pair == f"space-7-{said.split(';')[0].strip()}"
    names = [attribute.partition("=")[0].lower() for attribute in attributes]
    assert len(names) == len(set(names))
    assert {"path", "httponly", "samesite"} <= set(names) <= {
        "path", "httponly", "samesite", "secure", "expires", "max-age"
    }  # fmt: skip
    assert "Path=/run/ann/x/" in attributes


@pytest.mark.parametrize(
    "said", ["", "novalue", "=sessionid=x", "a b=1", "a\x00=1", "a=1\r\nSet-Cookie: sessionid=x", "ä=1",
             "a=" + "x" * 5000, "(=1", ";sessionid=x"],
)  # fmt: skip
def test_what_clients_might_read_in_two_ways_is_no_cookie(said: str) -> None:
    assert cookies.of_answer(said, DOOR) is None


def test_only_a_spaces_own_cookies_reach_it() -> None:
    every = [
        "sessionid=s; space-7-a=1; space-71-a=2;space-7-b=x=y", 'SPACE-7-c=3; " space-7-d=4"; space-7-e="5"',
        "space-7-sessionid=app; csrftoken=t",
    ]  # fmt: skip
    assert cookies.of_request(every, DOOR) == 'a=1; b=x=y; e="5"; sessionid=app'
    assert cookies.of_request(["sessionid=s"], DOOR) == ""


def test_on_its_own_host_a_space_sets_no_cookie_for_another_host() -> None:
    assert cookies.of_answer("a=1; Domain=demos.example; Path=/x; Secure", DEMO) == "a=1; Path=/x; Secure"
    assert cookies.of_answer("a=1;DOMAIN = .demos.example;HttpOnly", DEMO) == "a=1; HttpOnly"
    assert cookies.of_answer("a=1", DEMO) == "a=1"


def test_in_a_frame_that_keeps_no_others_a_cookie_meant_for_frames_is_partitioned() -> None:
    framed = replace(DEMO, third_party=True)
    meant = "a=1; Path=/; SameSite=none; Secure"
    assert cookies.of_answer(meant, framed) == f"{meant}; Partitioned"
    assert cookies.of_answer(meant, DEMO) == meant
    for other in ("a=1; Path=/", "a=1; SameSite=Lax; Secure", "a=1; SameSite=None", f"{meant}; Partitioned"):
        assert cookies.of_answer(other, framed) == other


def test_the_gateways_own_cookie_is_not_the_apps() -> None:
    secure = SimpleCookie(cookies.new_pass("me:1:x", 60, secure=True).replace("; Partitioned", ""))
    assert secure["__Host-spaceport-pass"].value == "me:1:x"
    assert (secure["__Host-spaceport-pass"]["path"], secure["__Host-spaceport-pass"]["domain"]) == ("/", "")
    both = ["a=1; spaceport-pass=tossed; __Host-spaceport-pass=me", "b=2"]
    assert cookies.pass_of(both) == "me"
    assert cookies.of_request(both, DEMO) == "a=1; b=2"
    for name in ("spaceport-pass", "__Host-spaceport-pass", "__host-Spaceport-Pass"):
        assert cookies.of_answer(f"{name}=x; Path=/", DEMO) is None


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("demo", [False, True])
def test_credentials_of_the_platform_never_reach_an_app_and_its_own_do(
    hub: Hub, space: str, standin: Standin, demo: bool
) -> None:
    route = serve(hub, space, standin)
    url = f"{hub.url}/x" if demo else f"{hub.url}/run/{space}/x"
    host = {"Host": f"{route.subdomain}.localhost:{hub.port}"} if demo else {}
    platforms = [f"Bearer {UNREAL}", f"bearer {UNREAL}", f"BEARER {UNREAL}", f"Token {UNREAL}", UNREAL,
                 basic(f"ann:{UNREAL}"), basic(f"{UNREAL}:"), basic(UNREAL), "Basic ???"]  # fmt: skip
    for value in platforms:
        for name in ("Authorization", "X-HF-Authorization"):
            told = requests.get(url, headers={**host, name: value}, timeout=30)
            assert told.status_code == 200, (value, told.text)
            assert sent(told, name.lower()) is None, value
            assert UNREAL not in told.text
    for value in ("Bearer of-the-app", basic("user:password"), 'Digest username="u", realm="r"'):
        told = requests.get(url, headers={**host, "Authorization": value}, timeout=30)
        assert sent(told, "authorization") == value


def test_a_token_in_any_place_of_credentials_is_found() -> None:
    assert credentials.are_platforms(f"Custom a=b, t={UNREAL}")
    assert credentials.are_platforms(basic("äöü:" + UNREAL))
    assert not credentials.are_platforms("Bearer half_done")
