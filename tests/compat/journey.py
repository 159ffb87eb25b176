"""What a program does with the Space of `tests/apps/ages`, written for gradio_client 0.6 to 2.7 alike.

Usage: journey.py URL [STEP… | -STEP…]: these steps, or all but these. It prints one JSON object, step -> what
was seen, or "error: …" for a failure. Standard library and gradio_client only.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import gradio_client
from gradio_client import Client

WAIT_S = 40


def connect(url: str) -> Client:
    try:
        return Client(url, verbose=False)
    except TypeError:
        return Client(url)


def file(path: str) -> Any:
    for name in ("handle_file", "file"):
        if hasattr(gradio_client, name):
            return getattr(gradio_client, name)(path)
    return path


def plain(client: Client) -> Any:
    return client.predict("Ada", api_name="/echo")


def by_number(client: Client) -> Any:
    return client.predict("Ada", fn_index=0)


def generator(client: Client) -> Any:
    job = client.submit(4, api_name="/count_up")
    job.result(timeout=WAIT_S)
    return job.outputs()


def state(client: Client) -> Any:
    return [client.predict(api_name="/remember") for _ in range(2)]


def own_state(client: Client) -> Any:
    return connect(client.src).predict(api_name="/remember")


def batch(client: Client) -> Any:
    jobs = [client.submit(f"t{n}", api_name="/shout") for n in range(6)]
    return [job.result(timeout=WAIT_S) for job in jobs]


def error(client: Client) -> Any:
    try:
        return client.predict("unicorns", api_name="/fail")
    except Exception as failure:
        return f"{type(failure).__name__}: {failure}"


def position(client: Client) -> Any:
    jobs = [client.submit(f"s{n}", api_name="/slow") for n in range(4)]  # a busy machine may send one late
    ranks = set()
    while not all(job.done() for job in jobs):
        for job in jobs:
            status = job.status()
            if status.code.name == "IN_QUEUE" and status.rank is not None:
                ranks.add(status.rank)
        time.sleep(0.02)
    return {"ranks": sorted(ranks)[:2], "results": [job.result() for job in jobs]}


def progress(client: Client) -> Any:
    job = client.submit("p", api_name="/step")
    seen = set()
    while not job.done():
        for unit in job.status().progress_data or []:
            seen.add(unit.index)
        time.sleep(0.02)
    return {"steps": len(seen), "result": job.result()}


def upload(client: Client) -> Any:
    with tempfile.NamedTemporaryFile("wb", suffix=".bin", delete=False) as blob:
        blob.write(os.urandom(300_000))
    return client.predict(file(blob.name), api_name="/size")


def cancel(client: Client) -> Any:
    job = client.submit(api_name="/forever")
    while len(job.outputs()) < 2:
        time.sleep(0.02)
    job.cancel()
    # Served only once the generator's place is free again.
    return connect(client.src).submit("next", api_name="/echo").result(timeout=WAIT_S)


def unqueued(client: Client) -> Any:
    return client.predict("Bob", api_name="/quick")


def together(client: Client) -> Any:
    jobs = [client.submit(str(n), api_name="/echo") for n in range(20)]
    return [job.result(timeout=WAIT_S) for job in jobs]


def mark(client: Client) -> Any:
    return client.predict("client", api_name="/mark")


STEPS: dict[str, Callable[[Client], Any]] = {
    step.__name__: step
    for step in (
        plain, by_number, generator, state, own_state, batch, error, position, progress, upload, cancel,
        unqueued, together,
    )
}  # fmt: skip


def main() -> None:
    url, *only = sys.argv[1:]
    seen: dict[str, Any] = {}
    try:
        client = connect(url)
    except Exception as failure:
        seen["connect"] = f"error: {type(failure).__name__}: {failure}"
    else:
        left_out = {name[1:] for name in only if name.startswith("-")}
        only = [name for name in only if not name.startswith("-")]
        for name in only or [name for name in STEPS if name not in left_out]:
            try:
                seen[name] = {**STEPS, "mark": mark}[name](client)
            except Exception as failure:
                seen[name] = f"error: {type(failure).__name__}: {failure}"
    print(json.dumps(seen), flush=True)
    os._exit(0)  # some ages leave a thread that never ends


main()
