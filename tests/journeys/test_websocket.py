"""The websocket door: status, joining, the place in line, bad messages, coming back for a result."""

from __future__ import annotations

import aiohttp
import pytest

from tests.platform_server import APPS, Platform
from tests.sockets import http, until

__all__ = ["http"]

SPACE = "alice/socket"


@pytest.fixture(scope="module")
def url(platform: Platform, alice: str) -> str:
    assert platform.push(SPACE, alice, APPS / "everything") == "RUNNING"
    return f"{platform.url.replace('http', 'ws')}/ws/spaces/{SPACE}/queue"


async def test_it_tells_the_state_of_the_line(url: str, http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(url) as socket:
        assert await until(socket, "status", stage="RUNNING")


async def test_joining_gives_a_place_and_the_result(url: str, http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(url) as one, http.ws_connect(url) as two:
        await one.send_json({"msg": "join", "api_name": "slow", "data": ["first"]})
        first = await until(one, "joined")
        await until(one, "process_starts", event_id=first["event_id"])
        await two.send_json({"msg": "join", "api_name": "slow", "data": ["second"]})
        second = await until(two, "joined")
        place = await until(two, "place", event_id=second["event_id"], state="pending")
        assert (place["position"], place["size"]) == (0, 1)
        done = await until(one, "process_completed", event_id=first["event_id"])
        assert done["output"]["data"] == ["first"]
        done = await until(two, "process_completed", event_id=second["event_id"])
        assert done["output"]["data"] == ["second"]


async def test_a_lost_socket_finds_its_result_again(url: str, http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(url) as socket:
        await socket.send_json({"msg": "join", "api_name": "slow", "data": ["kept"]})
        joined = await until(socket, "joined")
    async with http.ws_connect(url) as socket:
        await socket.send_json({"msg": "follow", "session_hash": joined["session_hash"]})
        done = await until(socket, "process_completed", event_id=joined["event_id"])
        assert done["output"]["data"] == ["kept"]


async def test_the_same_key_is_the_same_event(url: str, http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(url) as socket:
        ids = []
        for _ in range(2):
            await socket.send_json(
                {"msg": "join", "api_name": "echo", "data": ["x"], "idempotency_key": "button-1"}
            )
            ids.append((await until(socket, "joined"))["event_id"])
        assert ids[0] == ids[1]


async def test_cancelling_frees_the_place(url: str, http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(url) as socket:
        await socket.send_json({"msg": "join", "api_name": "slow", "data": ["a"]})
        await until(socket, "joined")
        await socket.send_json({"msg": "join", "api_name": "slow", "data": ["b"]})
        second = await until(socket, "joined")
        await socket.send_json({"msg": "cancel", "event_id": second["event_id"]})
        done = await until(socket, "process_completed", event_id=second["event_id"])
        assert done["output"] == {}


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("{", "no JSON"),
        ("[1]", "JSON object"),
        ('{"msg":"fly"}', "no message 'fly'"),
        ('{"msg":"join","api_name":"nothing"}', "no function named"),
        ('{"msg":"join","fn_index":"one"}', "fn_index"),
        ('{"msg":"join","api_name":"echo","data":"text"}', "data is no list"),
        ('{"msg":"cancel","event_id":"00000000000000000000000000000000"}', "no such event"),
        ('{"msg":"follow","session_hash":"guess"}', "session_hash"),
    ],
)
async def test_bad_messages_are_answered_and_the_socket_lives(
    url: str, http: aiohttp.ClientSession, message: str, says: str
) -> None:
    async with http.ws_connect(url) as socket:
        await socket.send_str(message)
        error = await until(socket, "error")
        assert says in error["message"]
        await socket.send_json({"msg": "status"})
        await until(socket, "status")


async def test_binary_messages_are_refused(url: str, http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(url) as socket:
        await socket.send_bytes(b"\x00\xff")
        assert "text messages" in (await until(socket, "error"))["message"]


async def test_another_sites_page_gets_no_socket(url: str, http: aiohttp.ClientSession) -> None:
    for origin in ("http://evil.example", "null", f"http://alice-socket.localhost:{url.split(':')[2][:5]}"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(url, headers={"Origin": origin})
        assert refused.value.status == 403


async def test_an_unknown_space_is_said_to_be_unknown(url: str, http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(url.replace("socket/queue", "nowhere/queue")) as socket:
        assert (await until(socket, "error"))["code"] == "space.unknown"
