"""Whatever callable an app has, and whatever Gradio makes of it: the platform's own way into the app says of
it what Gradio's queue says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from hardware.replica_client import ReplicaClient
from queueing.dispatch.backends.gradio_sse import GradioSseClient
from queueing.dispatch.backends.launcher import LauncherClient
from queueing.events import Event, decode
from queueing.protocols.gradio_config import app_from_config
from tests.compat.conftest import gradio_python
from tests.contracts.launched import event_of, launched, route_to, told, words

#: What a page sends for an input of this kind.
SENT: dict[str, Any] = {
    "api": "x",
    "browserstate": [],
    "chatbot": [],
    "dataset": 0,
    "multimodaltextbox": {"text": "x", "files": []},
    "state": None,
    "textbox": "x",
}
PICKED = {"index": 0, "value": {"text": "hi", "files": []}, "selected": True}
AT_ONCE = 8
APART = ("busy", "uncaught")  # have tests of their own
#: Names of their own for each conversation, and where things lie in memory.
OWN = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{32}\b")

Messages = list[dict[str, Any]]


@pytest.fixture(scope="module", params=["6.31.0", "5.50.0"])
def app(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    """Its address, and its log of errors."""
    log = tmp_path_factory.mktemp("kinds") / "log"
    with launched("kinds", gradio_python(request.param), log) as there:
        yield there, log


@pytest.fixture(scope="module")
def address(app: tuple[str, Path]) -> str:
    return app[0]


@pytest.fixture(scope="module")
def config(address: str) -> dict[str, Any]:
    answer: dict[str, Any] = requests.get(f"http://{address}/config", timeout=30).json()
    return answer


async def test_both_ways_say_the_same_of_every_function(address: str, config: dict[str, Any]) -> None:
    kinds = {component["id"]: component["type"] for component in config["components"]}
    route = route_to(address, app_from_config(config))
    places = asyncio.Semaphore(AT_ONCE)
    differences: dict[str, Any] = {}
    async with ReplicaClient() as http:
        direct, gradio = LauncherClient(http, route), GradioSseClient(http, route)
        await direct.open()

        def event(function: dict[str, Any], session: str) -> Event:
            data = [SENT[kinds[n]] for n in function["inputs"]]
            target = next((target for target, _ in function["targets"]), None)
            more = {"event_data": PICKED, "trigger_id": target}
            return event_of(function["id"], *data, session=session, **more)

        async def compare(chain: list[dict[str, Any]]) -> None:
            async with places, asyncio.timeout(120):
                for function in chain:
                    name = f"{function['id']} {function['api_name']}"
                    asked = event(function, f"direct {chain[0]['id']}")
                    directly = [decode(said.payload) for said in await told(direct, asked)]
                    asked = event(function, f"gradio {chain[0]['id']}")
                    by_gradio = [decode(message.about(asked.id)) async for message in gradio.call(asked)]
                    if comparable(directly) != comparable(by_gradio):
                        differences[name] = comparable(directly), comparable(by_gradio)

        chains = [c for c in chains_of(config["dependencies"]) if not c[0]["api_name"].startswith(APART)]
        await asyncio.gather(*map(compare, chains))
        await direct.close()
    assert sum(map(len, chains)) > 200
    assert differences == {}


@pytest.mark.parametrize("kind", ["at_once", "later", "in_the_middle", "in_the_middle_later"])
async def test_an_error_is_written_into_the_log_as_gradio_writes_it(
    app: tuple[str, Path], config: dict[str, Any], kind: str
) -> None:
    address, log = app
    name = f"ValueError_fails_{kind}"
    function = next(f["id"] for f in config["dependencies"] if f["api_name"] == name)
    route, written = route_to(address, app_from_config(config)), []
    async with ReplicaClient() as http:
        direct, gradio = LauncherClient(http, route), GradioSseClient(http, route)
        await direct.open()
        for way in ("direct", "gradio"):
            before = len(log.read_text())
            if way == "direct":
                await told(direct, event_of(function, "x"))
            else:
                assert [message async for message in gradio.call(event_of(function, "x"))]
            written.append(log.read_text()[before:])
        await direct.close()
    assert written[0].count("Traceback") == 1
    assert written[0] == written[1]
    assert "spaceport_launcher" not in written[0]


async def test_an_error_that_gradio_does_not_catch_ends_its_call(
    address: str, config: dict[str, Any]
) -> None:
    functions = [f["id"] for f in config["dependencies"] if f["api_name"].startswith("uncaught")]
    async with ReplicaClient() as http:
        direct = LauncherClient(http, route_to(address, app_from_config(config)))
        await direct.open()
        for function in functions:
            async with asyncio.timeout(60):
                said = await told(direct, event_of(function, "the reason"), places=1)
            assert said[-1].kind == "failed"
            assert decode(said[-1].payload)["output"]["error"] == "the reason"
        await direct.close()


async def test_no_more_are_inside_than_there_are_places(address: str, config: dict[str, Any]) -> None:
    functions = [f["id"] for f in config["dependencies"] if f["api_name"].startswith("busy")]
    async with ReplicaClient() as http:
        direct = LauncherClient(http, route_to(address, app_from_config(config)))
        await direct.open()
        for most in (1, 2):
            asked = [event_of(function, "x") for function in functions * 2]
            async with asyncio.timeout(60):
                ends = [
                    said[-1] for said in await asyncio.gather(*(told(direct, e, places=most) for e in asked))
                ]
            assert {said.kind for said in ends} == {"completed"}
            assert max(int(decode(said.payload)["output"]["data"][0]) for said in ends) == most
        await direct.close()


def chains_of(functions: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Each function that something of the page triggers, and those that follow it in its session. What has a
    state is called once more: it finds what the first call has left there."""
    followers: dict[int | None, list[dict[str, Any]]] = {}
    for function in functions:
        if function["backend_fn"]:
            followers.setdefault(function["trigger_after"], []).append(function)

    def following(function: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield function
        for after in followers.get(function["id"], ()):
            yield from following(after)

    for function in followers[None]:
        chain = list(following(function))
        yield chain


def comparable(messages: Messages) -> tuple[list[str], set[str]]:
    """How often progress is told is a matter of time."""
    kept = [OWN.sub("…", repr(words(message))) for message in messages if message["msg"] != "progress"]
    return kept, {message["msg"] for message in messages}
