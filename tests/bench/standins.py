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

from queueing.keys import SpaceKeys, name
from queueing.routes import decode, encode
from tests.bench.sides import Bench

OWNER = "many"
FIRST_ID = 1_000_000  # no Space that PostgreSQL knows of
STARTS = '{{"msg":"process_starts","event_id":"{0}","eta":0.001}}'
COMPLETED = (
    '{{"msg":"process_completed","event_id":"{0}","output":{{"data":["x"],"is_generating":false,'
    '"duration":0.001,"average_duration":0.001}},"success":true,"title":null}}'
)
ANSWER = f"{{0}} 1 m {STARTS}\n{{0}} 2 c1 {COMPLETED}\n{{0}} 2 e \n"


@contextmanager
def stand_ins(bench: Bench, count: int) -> Iterator[list[str]]:
    """So many Spaces, otherwise like the measured one; their names."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(count)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        yield [_publish(bench, at, port) for at, port in enumerate(ports)]
    finally:
        process.kill()
        process.wait()


def _publish(bench: Bench, at: int, port: int) -> str:
    space, space_id = f"{OWNER}/app-{at}", FIRST_ID + at
    with bench.platform.valkey() as client:
        like = SpaceKeys(int(client.get(name(bench.space)) or 0))
        ours = SpaceKeys(space_id)
        route = structs.replace(
            decode(client.get(like.route) or b""), space_id=space_id, owner=OWNER, name=f"app-{at}",
            subdomain=f"{OWNER}-app-{at}", address=f"127.0.0.1:{port}",
        )  # fmt: skip
        client.set(ours.route, encode(route))
        client.hset(ours.cfg, mapping=client.hgetall(like.cfg))
        client.set(name(space), space_id)
    return space


async def _calls(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    async for line in request.content:
        order = json.loads(line)
        if order["do"] == "hello":
            await answer.write(b"hello \n")
        elif order["do"] == "call":
            told = "".join(ANSWER.format(call["id"]) for call in order["calls"])
            await answer.write(told.encode())
    return answer


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
