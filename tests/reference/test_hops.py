"""The hop lists of docs/explanation/how-it-works.md: every hop exists, and a join walks as it is written."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from redis.asyncio import Redis

from queueing.routes import App, Function
from queueing.store import queue
from queueing.store.pipelining import AutoPipeline
from tests.events import a_route, publish, scope_to
from tests.queueing.conftest import redis
from tests.reference.pages import ROOT

__all__ = ["redis"]

PAGE = (ROOT / "docs/explanation/how-it-works.md").read_text().partition("## Hop by hop")[2]
HOP = re.compile(r"`([\w./]+\.(?:py|lua)): ([\w.]+)`")
LUA_FUNCTION = re.compile(r"^local function (\w+)", re.MULTILINE)
JOIN = "### From `queue/join` to the queue"
SPACE = 71_001
MOST_HOPS_OF_A_JOIN = 20


class Walked(Exception):
    """Far enough."""


def defined(path: Path) -> Iterator[str]:
    """The functions of a module or script by their names, those inside others too."""
    if path.suffix == ".lua":
        return iter(LUA_FUNCTION.findall(path.read_text()))

    def inside(node: ast.AST, before: str) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield f"{before}{child.name}"
                yield from inside(child, f"{before}{child.name}.")
            else:
                yield from inside(child, before)

    return inside(ast.parse(path.read_text()), "")


def test_every_hop_is_a_function_of_its_file() -> None:
    hops = HOP.findall(PAGE)
    assert len(hops) > 80
    assert [f"{file}: {name}" for file, name in hops if name not in defined(ROOT / file)] == []


async def test_a_join_walks_as_it_is_written(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    from spaceport.asgi import application

    route = a_route(SPACE, app=App(protocol="sse_v3", functions=(Function(id=0),)))
    await publish(redis, route)
    execute, walked = AutoPipeline.execute, list[str]()

    def noted(self: AutoPipeline, *command: Any) -> Any:
        if command[:2] != ("EVALSHA", queue._join.sha):
            return execute(self, *command)
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_filename != __file__:
            file = Path(frame.f_code.co_filename).relative_to(ROOT)
            walked.append(f"{file}: {frame.f_code.co_qualname.replace('.<locals>', '')}")
            frame = frame.f_back
        raise Walked

    monkeypatch.setattr(AutoPipeline, "execute", noted)
    body = json.dumps({"data": [], "fn_index": 0, "session_hash": "s"}).encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        raise AssertionError(message)

    host = f"{route.subdomain}.{settings.SPACEPORT_DEMO_DOMAIN}"
    scope = scope_to(host, "/gradio_api/queue/join", (b"content-length", b"%d" % len(body)))
    with pytest.raises(Walked):
        await application(scope, receive, send)
    written = PAGE.partition(JOIN)[2].partition("###")[0]
    *python, pipeline = [f"{file}: {name}" for file, name in HOP.findall(written)]
    assert walked[::-1] == python
    assert pipeline == "queueing/store/pipelining.py: AutoPipeline.execute"
    assert len(re.findall(r"^\d+\. ", written, re.MULTILINE)) <= MOST_HOPS_OF_A_JOIN
