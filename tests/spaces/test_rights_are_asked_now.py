"""What opened a private Space yesterday opens nothing today: rights are asked at each request and at every
door, and what is open when they are lost is ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import aiohttp
import pytest
import redis
import requests
from django.core import signing

from hardware import redis_keys
from spaces import visits
from spaces.gateway import page_tokens
from tests.hub_server import Hub
from tests.spaces.standin import Standin, serve
from tests.waiting import wait_until


@dataclass
class Private:
    """A private Space of the organization `lab`, and somebody who holds all that ever opened it."""

    hub: Hub
    space: str
    space_id: int
    host: str
    user_id: int
    who: str

    def token(self) -> str:
        key = (self.hub.home / "secret_key").read_text()
        return page_tokens.make(key, self.space_id, visit="v", user_id=self.user_id)

    def visit(self) -> str:
        """Signed as the web process signs it."""
        key = (self.hub.home / "secret_key").read_text()
        return signing.dumps([self.space_id, "v", self.user_id], key=key, salt=visits.SALT)

    def ways(self) -> dict[str, tuple[str, dict[str, str]]]:
        """Every way in: an address and headers."""
        demo = {"Host": self.host}
        page = f"http://{self.host}/_ui/{self.token()}/"
        visit = self.visit()
        bearer = {"Authorization": f"Bearer {self.hub.tokens[self.who]}"}
        return {
            "page token": (f"/_ui/{self.token()}/file=a", demo),
            "queue/data": (f"/_ui/{self.token()}/gradio_api/queue/data?session_hash=s", demo),
            "visit": (f"/x?__visit={visit}", demo),
            "cookie": ("/x", {**demo, "Cookie": f"spaceport-pass={visit}"}),
            "secure cookie": ("/x", {**demo, "Cookie": f"a=1; __Host-spaceport-pass={visit}"}),
            "referer of a page": ("/x", {**demo, "Referer": page}),
            "referer of a visit": ("/x", {**demo, "Referer": f"http://{self.host}/?__visit={visit}"}),
            "token on its own host": ("/x", {**demo, **bearer}),
            "token at the programs' door": (f"/run/{self.space}/x", bearer),
            "an event's end": (f"/run/{self.space}/gradio_api/call/x/{'0' * 32}", bearer),
        }

    def status(self, way: str) -> int:
        path, headers = self.ways()[way]
        with requests.get(f"{self.hub.url}{path}", headers=headers, timeout=30, stream=True) as answer:
            return answer.status_code

    def shuts(self, way: str) -> bool:
        return self.status(way) == 404


@pytest.fixture
def private(hub: Hub, new_space: Callable[..., str], standin: Standin) -> Iterator[Private]:
    """It, with the reader of `lab` as who holds them all; afterwards as before."""
    space = new_space("alice", owner="lab", visibility="private", space_sdk="docker")
    route = serve(hub, space, standin)
    [(user_id,)] = hub.sql("select id from accounts_user where username = 'reader'")
    [(membership, owner_id)] = hub.sql(
        "select m.id, owner_id from accounts_membership m join accounts_owner o on o.id = owner_id "
        "where user_id = %s and o.name = 'lab'",
        user_id,
    )
    yield Private(hub, space, route.space_id, f"{route.subdomain}.localhost:{hub.port}", user_id, "reader")
    hub.sql("update accounts_user set is_active = true where id = %s", user_id)
    hub.sql(
        "insert into accounts_membership (id, owner_id, user_id, role) values (%s, %s, %s, 'read') "
        "on conflict do nothing",
        membership, owner_id, user_id,
    )  # fmt: skip


def end_membership(private: Private) -> None:
    private.hub.sql("delete from accounts_membership where user_id = %s and role = 'read'", private.user_id)


def deactivate(private: Private) -> None:
    private.hub.sql("update accounts_user set is_active = false where id = %s", private.user_id)


LOSSES = pytest.mark.parametrize("lose", [end_membership, deactivate])


@LOSSES
def test_what_opened_it_opens_nothing_once_the_right_is_lost(
    private: Private, lose: Callable[[Private], None]
) -> None:
    ways = private.ways()
    assert {way: private.status(way) for way in ways} == dict.fromkeys(ways, 200)
    lose(private)
    for way in ways:
        wait_until(partial(private.shuts, way), f"{way} is shut", 10)


def test_a_page_opened_while_it_was_public_is_a_strangers_again(
    hub: Hub, new_space: Callable[..., str], standin: Standin
) -> None:
    space = new_space("alice", space_sdk="docker")
    route = serve(hub, space, standin)
    [(charlie,)] = hub.sql("select id from accounts_user where username = 'charlie'")
    host = f"{route.subdomain}.localhost:{hub.port}"
    for user_id in (charlie, 0):
        stranger = Private(hub, space, route.space_id, host, user_id, "charlie")
        assert stranger.status("page token") == 200
    hub.api("alice").update_repo_settings(space, repo_type="space", private=True)
    assert serve(hub, space, standin).private
    for user_id in (charlie, 0):
        stranger = Private(hub, space, route.space_id, host, user_id, "charlie")
        for way in stranger.ways():
            wait_until(partial(stranger.shuts, way), f"{way} is shut", 10)


def test_another_pages_requests_are_not_let_in_by_the_cookie(private: Private) -> None:
    """A page on a sibling host is the same site, so cookies travel; apps let every origin read."""
    path, headers = private.ways()["cookie"]
    for more, status in (
        ({"Origin": f"http://{private.host}", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Origin": f"http://evil.localhost:{private.hub.port}"}, 404),
        ({"Origin": "null"}, 404),
        ({"Origin": "http://[broken"}, 404),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, 404),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, 404),
    ):
        url = f"{private.hub.url}{path}"
        answer = requests.get(url, headers={**headers, **more}, timeout=30)
        assert answer.status_code == status, more


def test_the_app_is_told_neither_token_nor_visit(private: Private) -> None:
    ways = private.ways()
    for way in ways:
        path, headers = ways[way]
        told = requests.get(f"{private.hub.url}{path}", headers=headers, timeout=30).text
        for secret in (private.token(), "_ui/", "__visit", "spaceport-pass", private.hub.tokens["reader"]):
            assert secret not in told, (way, told)


@LOSSES
async def test_open_streams_and_sockets_end(private: Private, lose: Callable[[Private], None]) -> None:
    _, cookie = private.ways()["cookie"]
    _, bearer = private.ways()["token at the programs' door"]
    base = f"ws://127.0.0.1:{private.hub.port}"
    async with aiohttp.ClientSession() as client:
        stream = await client.get(f"{private.hub.url}/stream", headers=cookie)
        program = await client.get(f"{private.hub.url}/run/{private.space}/stream", headers=bearer)
        socket = await client.ws_connect(f"{base}/ws", headers=cookie)
        assert "spaceport-pass" not in str(await socket.receive(timeout=30))
        for answer in (stream, program):
            assert await answer.content.readline() == b"data: on\n"
        lose(private)
        assert (await socket.receive(timeout=30)).type == aiohttp.WSMsgType.CLOSE
        async with asyncio.timeout(30):
            for answer in (stream, program):
                with contextlib.suppress(aiohttp.ClientPayloadError):
                    while await answer.content.readline():
                        pass


def test_who_may_write_no_more_reads_no_more_lines(hub: Hub, new_space: Callable[..., str]) -> None:
    space = new_space("alice", owner="lab")
    [(space_id,)] = hub.sql("select id from spaces_space where name = %s", space.split("/")[1])
    [(member,)] = hub.sql("select id from accounts_user where username = 'bob'")
    write = "update accounts_membership set role = %s where user_id = %s and role <> 'admin'"
    with (
        redis.Redis.from_url(hub.redis) as client,
        hub.call("GET", f"/api/spaces/{space}/logs/run", "bob", stream=True) as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == b": log"
        hub.sql(write, "read", member)
        try:
            for _ in lines:  # until it ends
                client.xadd(redis_keys.log("run", space_id), {"at": "1.0", "text": "more"})
        finally:
            hub.sql(write, "write", member)


@LOSSES
async def test_the_queues_websocket_ends(private: Private, lose: Callable[[Private], None]) -> None:
    signed_in = requests.Session()
    page = signed_in.get(f"{private.hub.url}/login", timeout=30)
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert found
    form = {"csrfmiddlewaretoken": found[1], "username": "reader", "password": "reader-secret"}
    signed_in.post(f"{private.hub.url}/login", data=form, timeout=30, allow_redirects=False)
    session = {"Cookie": f"sessionid={signed_in.cookies['sessionid']}"}
    url = f"ws://127.0.0.1:{private.hub.port}/ws/spaces/{private.space}/queue"
    async with aiohttp.ClientSession() as client, client.ws_connect(url, headers=session) as socket:
        assert json.loads((await socket.receive(timeout=30)).data)["msg"] == "status"
        lose(private)
        async with asyncio.timeout(30):
            while (message := await socket.receive()).type == aiohttp.WSMsgType.TEXT:
                said = json.loads(message.data)
        assert (said["code"], socket.close_code) == ("space.unknown", 4404)
