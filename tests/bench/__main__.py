"""`make bench`: the same Gradio app by itself and behind Spaceport, same client program, side by side in one
run. Figures are for ratios: the machine, and what else it does, is in all of them."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests

from tests.bench.client import Measured, load
from tests.platform_server import Platform, free_port, new_home
from tests.waiting import wait_until

SPACE = "bench/app"
LOADS = (("no-op", 0, None), ("50 ms x 4", 1, 80), ("50 ms, batches of 16", 2, 320))
SETTINGS = {0: 4, 1: 4, 2: 1}  # concurrency_count for each load, as the app itself asks for


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench ARGS=")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=3, help="medians of so many")
    parser.add_argument("--runtime", default="auto")
    options = parser.parse_args()
    home = new_home()
    alone_port = free_port()
    app = Path(__file__).with_name("app.py")
    env = {**os.environ, "BENCH_PORT": str(alone_port), "GRADIO_ANALYTICS_ENABLED": "False"}
    alone = subprocess.Popen([sys.executable, str(app)], env=env, stdout=subprocess.DEVNULL)
    platform = Platform(options.runtime, home)
    try:
        platform.start()
        token = platform.token("bench")
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(app, folder)
            stage = platform.push(SPACE, token, Path(folder))
        assert stage == "RUNNING", stage
        sides = {
            "alone": f"http://127.0.0.1:{alone_port}/gradio_api",
            "Spaceport": f"{platform.run_url(SPACE)}gradio_api",
        }
        wait_until(
            lambda: requests.get(f"http://127.0.0.1:{alone_port}/config", timeout=5).ok, "alone is up", 60
        )
        measure(platform, token, sides, options)
    finally:
        alone.terminate()
        platform.stop()
        shutil.rmtree(home, ignore_errors=True)


def measure(platform: Platform, token: str, sides: dict[str, str], options: argparse.Namespace) -> None:
    print(f"\nmedians of {options.rounds} rounds of {options.seconds:g} s, sides taking turns\n")
    print("| load | clients | alone, events/s | Spaceport | ratio | p50 alone → Spaceport | p95 | of ideal |")
    print("|---|---|---|---|---|---|---|---|")
    for name, fn_index, ideal in LOADS:
        platform.queue(SPACE, token, concurrency_count=SETTINGS[fn_index])
        for base in sides.values():
            asyncio.run(load(base, fn_index, clients=4, seconds=1))
        for clients in options.clients:
            rounds: dict[str, list[Measured]] = {side: [] for side in sides}
            for _ in range(options.rounds):
                for side, base in sides.items():
                    rounds[side].append(
                        asyncio.run(load(base, fn_index, clients=clients, seconds=options.seconds))
                    )
                    time.sleep(0.5)
            print(row(name, clients, rounds["alone"], rounds["Spaceport"], ideal), flush=True)


def row(name: str, clients: int, alone: list[Measured], ours: list[Measured], ideal: int | None) -> str:
    def median(runs: list[Measured], q: float | None = None) -> float:
        return statistics.median(r.rate if q is None else r.quantile(q) * 1000 for r in runs)

    share = f"{median(ours) / ideal:.0%} (alone {median(alone) / ideal:.0%})" if ideal and clients > 1 else ""
    failed = sum(r.failed for r in ours)
    return (
        f"| {name} | {clients} | {median(alone):.0f} | {median(ours):.0f} | "
        f"{median(ours) / median(alone):.2f} | {median(alone, 0.5):.0f} → {median(ours, 0.5):.0f} ms | "
        f"{median(alone, 0.95):.0f} → {median(ours, 0.95):.0f} ms | {share}"
        f"{f' {failed} FAILED' if failed else ''} |"
    )


if __name__ == "__main__":
    main()
