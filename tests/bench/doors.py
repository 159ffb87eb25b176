"""The other two ways in: the websocket, and the official `gradio_client` (threads, in as many processes of
their own as there are cores)."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import aiohttp

from tests.bench.client import Measured

PROGRAM = """
import json, sys, threading, time
from gradio_client import Client
url, name, clients, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
made = [Client(url, verbose=False, analytics_enabled=False) for _ in range(clients)]
took, late, failed = [], [], []
print("ready", flush=True)
input()
began = time.monotonic()
def visit(client):
    while (at := time.monotonic()) - began < seconds:
        try:
            client.predict("x", api_name=name)
        except Exception as error:
            failed.append(repr(error))
            continue
        now = time.monotonic()
        took.append(now - at)
        if now - began > seconds:
            late.append(at)
threads = [threading.Thread(target=visit, args=(c,), daemon=True) for c in made]
for t in threads: t.start()
for t in threads: t.join(seconds + 60)
print(json.dumps({"latencies": took, "late": len(late), "failed": len(failed)}))
"""


async def by_websocket(url: str, api_name: str, *, clients: int, seconds: float) -> Measured:
    """So many sockets, each with one event at a time, for so long."""
    measured = Measured(seconds)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        began = time.monotonic()

        async def visit() -> None:
            async with http.ws_connect(url, max_msg_size=0) as socket:
                while (at := time.monotonic()) - began < seconds:
                    await socket.send_json({"msg": "join", "api_name": api_name, "data": ["x"]})
                    async for raw in socket:
                        message = json.loads(raw.data)
                        if message["msg"] in ("process_completed", "error"):
                            break
                    if message["msg"] == "error" or not message["success"]:
                        measured.failed += 1
                    else:
                        measured.took(began, at)

        await asyncio.gather(*(visit() for _ in range(clients)))
    return measured


def by_gradio_client(url: str, api_name: str, *, clients: int, seconds: float) -> Measured:
    """So many official clients, each with one event at a time, for so long."""
    programs = min(os.cpu_count() or 1, clients)
    share, more = divmod(clients, programs)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, url, f"/{api_name}", str(share + (at < more)), str(seconds)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for at in range(programs)
    ]  # fmt: skip
    for program in running:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n", "a client could not begin"
    measured = Measured(seconds)
    with ThreadPoolExecutor(programs) as pool:  # all begin in the same moment
        for said, _ in pool.map(lambda program: program.communicate("\n", timeout=seconds + 300), running):
            measured.add(Measured(seconds, **json.loads(said.splitlines()[-1])))
    return measured
