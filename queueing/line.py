"""One Space's line as it is now: who waits, in which order, and when each starts. One pipelined read, the
same for a page of Django (blocking) and for the web process that tells waiters (asyncio)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from queueing.eta import Eta, Forecast, Service, forecast, measured
from queueing.events import kind_of, kind_of_id
from queueing.keys import LANES, SpaceKeys
from queueing.queue import SIDE_CALLS

_SETTINGS = (
    "concurrency_count",
    "batch",
    "max_batch_size",
    "serving",
    "start_likely",
    "start_at_most",
    "start_since",
    "ahead",
    "cancel_on_disconnect",
)
#: How many answers a pipeline gives to what `ask` put into it.
ANSWERS = 3 + 3 * len(LANES)


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane: first those that come before all (`keys.next`), then the line itself."""

    first: list[bytes]
    wait: list[bytes]
    pending: int  # events, also those that wait in the app itself
    running: int  # calls
    starts: Forecast  # of `first` and `wait`

    def eta(self, position: int) -> Eta | None:
        """The promise for a position of the line; `len(wait)` is who joins now."""
        return self.starts.at(len(self.first) + position)


def ask(pipe: Any, k: SpaceKeys) -> None:
    """Put the questions into a pipeline."""
    pipe.hmget(k.cfg, *_SETTINGS)
    pipe.hgetall(k.service)
    pipe.zrange(k.running, 0, -1, withscores=True)
    for lane in LANES:
        pipe.zrange(k.next(lane), 0, -1)
        pipe.zrange(k.wait(lane), 0, -1)
        pipe.zrange(k.calls(lane), 0, -1, withscores=True)


def understand(answers: Sequence[Any], now: float) -> dict[str, Lane]:
    """The lanes, from what the pipeline answered (`ANSWERS` values)."""
    (concurrency, batch, max_batch, *start, ahead, _), service, running, *rest = answers
    # No two calls have the same start, so it tells whose call it is (see claim.lua).
    kind_at = {started: kind_of_id(event_id.decode()) for event_id, started in running}
    services = services_of(service)
    max_batch = int(max_batch or 4) if batch == b"1" else 1
    until_it_runs, known = _start(*start, now=now)
    lanes = {}
    for at, name in enumerate(LANES):
        first, wait, calls = rest[at * 3 : at * 3 + 3]
        places = int(concurrency or 1) if name == "main" else SIDE_CALLS
        # These wait in the app itself, and come before all.
        there = min(int(ahead or 0), max(len(calls) - places, 0)) if name == "main" else 0
        inside, waiting = calls[: len(calls) - there], {started for _, started in calls[len(calls) - there :]}
        pending = sum(started in waiting for _, started in running) + len(first) + len(wait)
        starts = Forecast()
        if known:
            starts = forecast(
                [kind_at.get(started, "") for started in sorted(waiting)]
                + [event_id[12:16].decode() for event_id in (*first, *wait)],
                running=[(kind_at.get(started, ""), max(now - started, 0.0)) for _, started in inside],
                services=services,
                concurrency=places,
                max_batch=max_batch,
                alone=there + len(first),
                start=until_it_runs,
            ).behind(there)
        lanes[name] = Lane(first, wait, pending, len(inside), starts)
    return lanes


def ends_calls(answers: Sequence[Any]) -> bool:
    """Whether the calls of visitors who hang up are to be ended (`cancel_on_disconnect`)."""
    return bool(answers[0][-1] == b"1")


def running_ids(answers: Sequence[Any]) -> list[bytes]:
    """The events whose calls run, in any lane."""
    return [event_id for event_id, _ in answers[2]]


def services_of(raw: dict[bytes, bytes]) -> dict[str, Service]:
    """What is known of each function, by the kind that its events' ids carry."""
    services = {}
    for name, times in raw.items():
        if name.startswith(b"t:"):
            found = _service(times, raw.get(b"b:" + name[2:], b"0"))
            if found is not None:
                services[kind_of(name[2:].decode())] = found
    return services


@lru_cache(maxsize=256)  # of functions in use: whose times are new with every event, 6 KiB each
def _service(times: bytes, batch: bytes) -> Service | None:
    return measured([float(t) for t in times.split(b",")], batch=int(batch or 0))


def _start(
    serving: bytes | None, likely: bytes | None, at_most: bytes | None, since: bytes | None, *, now: float
) -> tuple[Eta | None, bool]:
    """Until the Space runs, None where it does; and whether that is known at all."""
    if serving != b"0":
        return None, True
    if not likely or not at_most:
        return None, False
    gone = max(now - float(since), 0.0) if since else 0.0
    # Past its time: what is left is a guess of the same size as what was wrong.
    left = max(float(likely) - gone, 0.1 * float(likely))
    return Eta(left, max(float(at_most) - gone, 2 * left)), True
