"""What `make bench` measures: each section prints one table."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.bench.client import Measured, load
from tests.bench.deploy import deploy
from tests.bench.doors import by_gradio_client, by_websocket
from tests.bench.eta import table
from tests.bench.footprint import footprint
from tests.bench.forecast import forecast
from tests.bench.groups import groups
from tests.bench.growth import by_clients, by_many_spaces, by_spaces
from tests.bench.processes import memory_bytes
from tests.bench.resting import reboot, sleeping
from tests.bench.rounds import rounds
from tests.bench.sandboxing import sandboxes
from tests.bench.scaling.table import scaling
from tests.bench.sides import PARTS, Bench
from tests.bench.sockets import hold
from tests.bench.tuning import tuning
from tests.bench.web_processes import web_processes
from tests.platform_server import WEB

#: name, api_name, fn_index, concurrency_count (as the app itself asks for), ideal events a second
LOADS = (
    ("no-op", "noop", 0, 4, None),
    ("50 ms x 4", "fifty_ms", 1, 4, 80),
    ("50 ms, batches of 16", "fifty_ms_batch", 2, 1, 320),
)
ANEW = "no-op, a new session for each event"
#: Gradio's own four load shapes: echo text, a file-heavy function, a stateful counter, a streaming chat.
SHAPES = (("echo", 0), ("file-heavy (1 MB)", 3), ("counter", 4), ("chat, 20 steps", 5))
CALLS_EACH = 2  # of one session, in `age`
MIB = 1024 * 1024


def protocol(bench: Bench) -> None:
    """Gradio's protocol, as its page speaks it."""
    options = bench.options
    print(f"\nmedians of {options.rounds} rounds of {options.seconds:g} s, sides taking turns\n")
    print("| load | clients | alone, events/s | Spaceport | ratio | p50 alone → Spaceport | p95 | of ideal |")
    print("|---|---|---|---|---|---|---|---|")
    for name, _, fn_index, count, ideal in LOADS:
        bench.concurrency(count)
        for base in bench.bases().values():
            asyncio.run(load(base, fn_index, clients=4, seconds=1))
        for clients in options.clients:

            def measure(
                side: str, calls_each: int = 0, fn: int = fn_index, clients: int = clients
            ) -> Measured:
                base = bench.bases()[side]
                run = load(base, fn, clients=clients, seconds=options.seconds, calls_each=calls_each)
                return asyncio.run(run)

            print(row(name, clients, bench.rounds(measure), ideal), flush=True)
            if fn_index == 0:
                print(row(ANEW, clients, bench.rounds(partial(measure, calls_each=1)), ideal), flush=True)


def shapes(bench: Bench) -> None:
    """Gradio's published load shapes."""
    print("\n| shape | users | alone, events/s | Spaceport | ratio | p50 alone → Spaceport | p95 | |")
    print("|---|---|---|---|---|---|---|---|")
    bench.concurrency(4)
    for name, fn_index in SHAPES:
        for clients in (10, 100):

            def measure(side: str, fn: int = fn_index, clients: int = clients) -> Measured:
                return asyncio.run(
                    load(
                        bench.bases()[side], fn, clients=clients, seconds=bench.options.seconds,
                        data="x" if fn != 4 else None, files=fn == 3,
                    )
                )  # fmt: skip

            print(row(name, clients, bench.rounds(measure), None), flush=True)


def doors(bench: Bench) -> None:
    """The same loads by the websocket and by the official Python client."""
    print("\n| door | load | clients | events/s | p50 | p95 | of ideal |\n|---|---|---|---|---|---|---|")
    seconds = bench.options.seconds
    url = bench.platform.run_url(bench.space)
    for name, api_name, _, count, ideal in LOADS:
        bench.concurrency(count)
        official = partial(by_gradio_client, api_name=api_name, clients=100, seconds=seconds)
        socket = partial(by_websocket, bench.socket_url(), api_name, clients=100, seconds=seconds)
        for door, clients, measure in (
            ("websocket", 100, lambda socket=socket: asyncio.run(socket())),
            ("gradio_client", 100, partial(official, url)),
            ("gradio_client, app alone", 100, partial(official, bench.alone)),
        ):
            runs: list[Measured] = [measure() for _ in range(bench.options.rounds)]
            rate = statistics.median(run.rate for run in runs)
            share = f"{rate / ideal:.0%}" if ideal else ""
            times = f"{ms(runs, 0.5)} | {ms(runs, 0.95)}"
            print(f"| {door} | {name} | {clients} | {rate:.0f} | {times} | {share} |", flush=True)


def sockets(bench: Bench) -> None:
    """Waiting visitors that one web process holds."""
    print("\n| waiting sockets | KiB each | CPU of one core | told a second, each | longest silence |")
    print("|---|---|---|---|---|")
    bench.concurrency(1)
    web = bench.platform.pids(WEB)[0]
    measure = partial(
        hold, bench.socket_url(), web, empty_bytes=memory_bytes(web), api_name="fifty_ms", seconds=20
    )
    for count in sorted({1000, 5000, bench.options.sockets}):
        held = asyncio.run(measure(sockets=count))
        print(
            f"| {count:,} | {held.bytes_each / 1024:.0f} | {held.cpu_share:.0%} | {held.told_each:.2f} | "
            f"{held.longest_silence_s:.1f} s |",
            flush=True,
        )


def age(bench: Bench) -> None:
    """Whether anything slows down or grows: one platform as time goes by, then beside one just started."""
    parts = " | ".join(PARTS)
    print(f"\n| | events so far | sessions | events/s | p95 | MiB: {parts} | CPU ms an event: {parts} |")
    print("|---|---|---|---|---|" + "---|" * 2 * len(PARTS))
    bench.concurrency(4)
    old = Aged(bench)
    while old.events < bench.options.events:
        print(old.round(""), flush=True)
    with bench.fresh() as other:
        other.concurrency(4)
        new = Aged(other)
        new.round("")  # what is made on first use
        for _ in range(bench.options.rounds):
            print(old.round("old"), flush=True)
            print(new.round("fresh"), flush=True)


@dataclass
class Aged:
    """A platform that grows older by rounds of 10 s, in which every visitor soon makes way for a new one."""

    bench: Bench
    events: int = 0
    sessions: int = 0

    def round(self, name: str) -> str:
        """Another round; what is told of it."""
        before = self.bench.cpu()
        base = self.bench.bases()["Spaceport"]
        run = asyncio.run(load(base, 0, clients=50, seconds=10, calls_each=CALLS_EACH))
        cpu = self.bench.cpu_ms(before, len(run.latencies))
        self.events += len(run.latencies)
        self.sessions += run.sessions
        so_far = f"{name} | {self.events:,} | {self.sessions:,}"
        grown = " | ".join(f"{size / MIB:.0f}" for size in self.bench.memory().values())
        used = " | ".join(f"{cpu[part]:.2f}" for part in PARTS)
        times = f"{run.rate:.0f} | {run.quantile(0.95) * 1000:.0f} ms"
        return f"| {so_far} | {times} | {grown} | {used} |"


def eta(_bench: Bench) -> None:
    """How honest the promised times are, in simulation (the same each time)."""
    print(f"\n{table()}")


SECTIONS: dict[str, Callable[[Bench], None]] = {
    "protocol": protocol,
    "shapes": shapes,
    "doors": doors,
    "sockets": sockets,
    "age": age,
    "clients": by_clients,
    "spaces": by_spaces,
    "many": by_many_spaces,
    "groups": groups,
    "eta": eta,
    "footprint": footprint,
    "deploy": deploy,
    "sandboxes": sandboxes,
    "web": web_processes,
    "forecast": forecast,
    "rounds": rounds,
    "scaling": scaling,
    "sleeping": sleeping,
    "reboot": reboot,
    "tuning": tuning,
}


def ms(runs: list[Measured], q: float) -> str:
    return f"{statistics.median(run.quantile(q) for run in runs) * 1000:.0f} ms"


def row(name: str, clients: int, rounds: dict[str, list[Measured]], ideal: int | None) -> str:
    alone, ours = rounds["alone"], rounds["Spaceport"]
    a, o = (statistics.median(run.rate for run in runs) for runs in (alone, ours))
    share = f"{o / ideal:.0%} (alone {a / ideal:.0%})" if ideal and clients > 1 else ""
    failed = sum(run.failed for run in ours)
    return (
        f"| {name} | {clients} | {a:.0f} | {o:.0f} | {o / a if a else float('nan'):.2f} | "
        f"{ms(alone, 0.5)} → {ms(ours, 0.5)} | {ms(alone, 0.95)} → {ms(ours, 0.95)} | {share}"
        f"{f' {failed} FAILED' if failed else ''} |"
    )
