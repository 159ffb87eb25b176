"""`make bench`: the same Gradio app by itself and behind Spaceport, same client program, side by side in one
run. Figures are for ratios: the machine, and what else it does, is in all of them."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import requests

from spaceport.web.servers import SERVERS
from tests.bench.sections import SECTIONS
from tests.bench.sides import APP, Bench, push_app
from tests.platform_server import Platform, free_port, lent_home, running
from tests.waiting import wait_until

SPACE = "bench/app"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench ARGS=")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=5, help="medians of so many")
    parser.add_argument("--runtime", choices=["process", "docker"], default="process")
    parser.add_argument("--web", choices=SERVERS, default=SERVERS[0], help="what serves the web")
    parser.add_argument("--sockets", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=50_000, help="how far the section `age` goes")
    parser.add_argument("--spaces", type=int, default=30, help="how far the section `spaces` goes")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=["protocol"])
    options = parser.parse_args()
    with alone() as (alone_url, alone_pid), behind(alone_url, alone_pid, options) as bench:
        for name in options.only:
            SECTIONS[name](bench)


@contextmanager
def alone() -> Iterator[tuple[str, int]]:
    """The app by itself; its address and its process."""
    port = free_port()
    env = {**os.environ, "BENCH_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    app = subprocess.Popen([sys.executable, str(APP)], env=env, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/config"), "the app by itself is up", 90)
        yield f"http://127.0.0.1:{port}/", app.pid
    finally:
        app.terminate()


@contextmanager
def behind(alone_url: str, alone_pid: int, options: argparse.Namespace, **more: str) -> Iterator[Bench]:
    """The same app as a Space of a platform just started, with these settings besides the bench's own."""
    # All clients of a measurement come in the same moment.
    settings = {"SPACEPORT_HANDSHAKES_PER_SECOND": "0", "SPACEPORT_SOCKETS_PER_VISITOR": "0"} | more
    with (
        lent_home() as home,
        running(Platform(options.runtime, home, web_server=options.web, settings=settings)) as platform,
    ):
        token = platform.token("bench")
        stage = push_app(platform, SPACE, token)
        assert stage == "RUNNING", stage
        fresh = partial(behind, alone_url, alone_pid, options)
        yield Bench(platform, token, SPACE, alone_url, alone_pid, options, fresh)


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


if __name__ == "__main__":
    main()
