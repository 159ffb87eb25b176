"""Which of a Space's replicas a request goes to, and that files are where the session is."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import BodyPartReader, web
from msgspec import structs
from redis.asyncio import Redis

from accounts.rights import Viewer
from hardware.replica_client import ReplicaClient
from queueing.events import session_key
from queueing.protocols.caller import Caller
from queueing.routes import App, Function, Place, Route
from queueing.store.keys import SpaceKeys
from spaces.gateway.places import Places, by_name, home_of_files
from spaces.gateway.proxy.door import Door
from spaces.gateway.proxy.files import named
from spaces.gateway.request import SpaceRequest, Visitor
from tests.events import a_route, scope_to

APP = App(protocol="sse_v3", version="6.31", prefix="/gradio_api", functions=(Function(id=0),))
KEYS = SpaceKeys(1)
UPLOAD = "/data/gradio/abc/cat.png"


class Disk:
    """A replica that keeps files, as Gradio's server does."""

    def __init__(self, number: int) -> None:
        self.number, self.files = number, dict[str, bytes]()

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/gradio_api/file={path:.*}", self._file)  # and HEAD
        app.router.add_post("/gradio_api/upload", self._upload)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.place = Place(self.number, "{}:{}".format(*runner.addresses[0]), "")
        return runner

    async def _file(self, request: web.Request) -> web.Response:
        content = self.files.get(request.match_info["path"])
        return web.Response(status=403) if content is None else web.Response(body=content)

    async def _upload(self, request: web.Request) -> web.Response:
        part = await (await request.multipart()).next()
        assert isinstance(part, BodyPartReader)
        path = f"/own/{self.number}/{part.filename}"
        self.files[path] = bytes(await part.read())
        return web.json_response([path])


@pytest.fixture
async def places() -> AsyncIterator[Places]:
    redis = Redis.from_url(os.environ["REDIS_URL"])
    async with ReplicaClient() as http:
        yield Places(redis, http)
    if left := [key async for key in redis.scan_iter(f"{KEYS.prefix}*")]:
        await redis.delete(*left)
    await redis.aclose()


@pytest.fixture
async def disks() -> AsyncIterator[list[Disk]]:
    found = [Disk(number) for number in (1, 2, 3)]
    runners = [await one.start() for one in found]
    yield found
    for runner in runners:
        await runner.cleanup()


def route_to(disks: list[Disk], app: App = APP) -> Route:
    first, *others = (one.place for one in disks)
    return a_route(
        1, replica_id=first.replica_id, address=first.address, others=tuple(others), app=app
    )  # fmt: skip


async def chosen(places: Places, route: Route, path: str, *, query: str = "", client: str = "1.1.1.1") -> int:
    scope = scope_to("m-1.localhost", path, query_string=query.encode())
    return (await places.choose(route, scope, path, visit="", client=client)).replica_id


def a_request(route: Route, client: str = "1.1.1.1") -> SpaceRequest:
    return SpaceRequest(
        route=route, path="/gradio_api/queue/join", host="m-1.localhost", scheme="http", client=client,
        program=False, token=None, raw_token="", visitor=Visitor(viewer=Viewer()),
        door=Door(space_id=1, host="m-1.localhost"),
    )  # fmt: skip


async def settled(places: Places, route: Route, body: dict[str, Any], client: str = "1.1.1.1") -> str:
    scope = scope_to("m-1.localhost", "/gradio_api/queue/join")
    return (await places.settled(a_request(route, client), scope, body, Caller())).home


def a_file(path: str = UPLOAD) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


async def test_a_request_goes_where_its_session_is(places: Places, disks: list[Disk]) -> None:
    route = route_to(disks)
    await places.redis.set(KEYS.pin(session_key("s")), 2, ex=60)
    assert await chosen(places, route, "/gradio_api/heartbeat/s") == 2
    assert await chosen(places, route, "/gradio_api/stream/s/1/2/playlist.m3u8") == 2
    assert await chosen(places, route, "/gradio_api/queue/data", query="session_hash=s") == 2
    assert (await places.of_session(a_request(route), {"session_hash": "s"})).route.replica_id == 2
    await places.redis.set(KEYS.pin(session_key("s")), 9, ex=60)
    assert await chosen(places, route, "/gradio_api/heartbeat/s") in {1, 2, 3}, "that one serves no more"


async def test_where_a_heartbeat_begins_the_session_stays_and_so_do_its_visitors_files(
    places: Places, disks: list[Disk]
) -> None:
    route, found = route_to(disks), set()
    for number in range(20):
        session = f"session-{number}"
        began = await chosen(places, route, f"/gradio_api/heartbeat/{session}")
        pinned = await places.redis.get(KEYS.pin(session_key(session)))
        assert pinned == str(began).encode()
        assert await chosen(places, route, "/gradio_api/upload") == began, "the session that it used last"
        found.add(began)
    assert found == {1, 2, 3}, "sessions from one address are on all"


async def test_strangers_are_spread_by_their_address_and_stay_while_their_replica_serves(
    places: Places, disks: list[Disk]
) -> None:
    route = route_to(disks)
    clients = [f"10.0.0.{number}" for number in range(30)]
    before = [await chosen(places, route, "/", client=client) for client in clients]
    assert set(before) == {1, 2, 3}
    fewer = route_to(disks[:2])
    after = [await chosen(places, fewer, "/", client=client) for client in clients]
    assert [now for was, now in zip(before, after, strict=True) if was != 3] == [b for b in before if b != 3]


async def test_who_gave_a_password_stays_there(places: Places, disks: list[Disk]) -> None:
    locked = route_to(disks, structs.replace(APP, functions=()))
    at = await chosen(places, locked, "/login", client="10.0.0.7")
    assert await chosen(places, locked, "/gradio_api/heartbeat/any", client="10.0.0.7") == at
    assert await settled(places, locked, {"session_hash": "new", "data": []}, "10.0.0.7") == str(at)


async def test_a_session_without_files_begins_where_there_is_room(places: Places, disks: list[Disk]) -> None:
    assert await settled(places, route_to(disks), {"session_hash": "new", "data": ["x"]}) == ""
    assert await settled(places, route_to(disks[:1]), {"session_hash": "n", "data": [a_file()]}) == ""


async def test_a_session_begins_where_its_file_is(places: Places, disks: list[Disk]) -> None:
    disks[2].files[UPLOAD] = b"cat"
    body = {"session_hash": "new", "data": [{"deep": [a_file()]}]}
    assert await settled(places, route_to(disks), body) == "3"
    assert body["data"] == [{"deep": [a_file()]}]


async def test_a_file_is_brought_to_where_the_session_is(places: Places, disks: list[Disk]) -> None:
    await places.redis.set(KEYS.pin(session_key("s")), 2, ex=60)
    disks[2].files[UPLOAD] = b"cat" * 100_000
    body = {"session_hash": "s", "data": [a_file(), a_file("/nowhere")]}
    assert await settled(places, route_to(disks), body) == "2"
    assert body["data"] == [a_file("/own/2/cat.png"), a_file("/nowhere")]
    assert disks[1].files["/own/2/cat.png"] == b"cat" * 100_000


def test_files_are_found_as_each_gradio_writes_them() -> None:
    old = {"name": "/data/a.png", "is_file": True, "data": None}
    data = ["/data/text", a_file(), {"name": "text"}, [old], a_file("https://example.org/x"), {"path": 1}]
    assert {one.path for one in named(data)} == {UPLOAD, "/data/a.png"}
    assert named([a_file("/data/../../run/x")]) == []
    assert len(named([a_file()] * 1000)) == 100


def test_a_program_on_the_websocket_begins_where_its_uploads_went() -> None:
    others = (Place(2, "10.0.0.2:1", ""), Place(3, "10.0.0.3:1", ""))
    route = a_route(1, replica_id=1, address="10.0.0.1:1", others=others, app=APP)
    assert home_of_files(route, [a_file()], "9.9.9.9") == str(by_name(route, "9.9.9.9").replica_id)
    assert home_of_files(route, ["text"], "9.9.9.9") == ""
