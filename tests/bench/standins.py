"""Stand-ins for Gradio apps, by the hundred: one process that speaks the launcher's protocol on a port for
each and answers every call at once. They show what many Spaces cost the platform itself, on a machine that
could not run as many real apps (110 MiB and 1.6 % of a core each, idle)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web
from msgspec import structs

from queueing.messages import ProcessStarts, completed
from queueing.messages import encode as encode_message
from queueing.routes import decode, encode
from queueing.store.keys import SpaceKeys, name
from tests.bench.sides import Bench

OWNER = "many"
FIRST_ID = 1_000_000  # no Space that PostgreSQL knows of


@contextmanager
def stand_ins(bench: Bench, count: int) -> Iterator[list[str]]:
    """So many Spaces, otherwise like the measured one; their names."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(count)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        yield _published(bench, ports)
    finally:
        process.kill()
        process.wait()


def _published(bench: Bench, ports: list[int]) -> list[str]:
    spaces = []
    with bench.platform.valkey() as client:
        like = SpaceKeys(int(client.get(name(bench.space)) or 0))
        route, settings = decode(client.get(like.route) or b""), client.hgetall(like.cfg)
        for at, port in enumerate(ports):
            ours = structs.replace(
                route, space_id=FIRST_ID + at, owner=OWNER, name=f"app-{at}", subdomain=f"{OWNER}-app-{at}",
                address=f"127.0.0.1:{port}",
            )  # fmt: skip
            keys = SpaceKeys(ours.space_id)
            client.set(keys.route, encode(ours))
            client.hset(keys.cfg, mapping=settings)
            client.set(name(ours.title), ours.space_id)
            spaces.append(ours.title)
    return spaces


async def _calls(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    async for line in request.content:
        order = json.loads(line)
        if order["do"] == "hello":
            await answer.write(b"hello \n")
        elif order["do"] == "call":
            await answer.write(b"".join(_told(call["id"]) for call in order["calls"]))
    return answer


def _told(event_id: str) -> bytes:
    """All that is said of a call, from its start to its end."""
    name, starts = event_id.encode(), encode_message(ProcessStarts(event_id=event_id))
    ends = completed(event_id, {"data": ["x"]})
    return b"%b 1 m %b\n%b 2 c1 %b\n%b 2 e \n" % (name, starts, name, ends, name)


async def _serve(count: int) -> None:
    app = web.Application()
    app.router.add_post("/{path:.*}", _calls)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    for _ in range(count):
        await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(json.dumps([address[1] for address in runner.addresses]), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
