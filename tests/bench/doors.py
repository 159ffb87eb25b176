"""The other two ways in: the websocket, and the official `gradio_client` (a process of its own, threads)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time

import aiohttp

from tests.bench.client import Measured

PROGRAM = """
import json, sys, threading, time
from gradio_client import Client
url, name, clients, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
made = [Client(url, verbose=False, analytics_enabled=False) for _ in range(clients)]
took, failed, lock = [], [], threading.Lock()
began = time.monotonic()
def visit(client):
    while (at := time.monotonic()) - began < seconds:
        try:
            client.predict("x", api_name=name)
        except Exception as error:
            failed.append(repr(error))
            continue
        if time.monotonic() - began <= seconds:
            with lock:
                took.append(time.monotonic() - at)
threads = [threading.Thread(target=visit, args=(c,), daemon=True) for c in made]
for t in threads: t.start()
for t in threads: t.join(seconds + 60)
print(json.dumps({"latencies": took, "failed": len(failed)}))
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
                    elif time.monotonic() - began <= seconds:
                        measured.latencies.append(time.monotonic() - at)

        await asyncio.gather(*(visit() for _ in range(clients)))
    return measured


def by_gradio_client(url: str, api_name: str, *, clients: int, seconds: float) -> Measured:
    """So many official clients, each with one event at a time, for so long."""
    command = [sys.executable, "-c", PROGRAM, url, f"/{api_name}", str(clients), str(seconds)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 300).stdout
    value = json.loads(said.splitlines()[-1])
    return Measured(seconds, value["latencies"], value["failed"])
