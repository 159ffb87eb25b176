"""One Space's lines as they are now: which events wait, in which order, and when each starts. One pipelined
read, the same for a page of Django (blocking) and for the web process that publishes places (asyncio)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from queueing.eta import Eta, Forecast, Service, measured
from queueing.events import KIND_PART, kind_of, kind_of_id
from queueing.lines import LANES, SIDE, all_lines, group_of, lane_of
from queueing.setting_fields import Settings
from queueing.store.keys import SpaceKeys
from queueing.store.queue import SIDE_CALLS
from queueing.store.scripts import seconds
from queueing.turns import Waiting, forecasts

if TYPE_CHECKING:
    from redis.asyncio import Redis

_SETTINGS = (
    "concurrency_count",
    "batch",
    "max_batch_size",
    "max_threads",
    "max_running",
    "ahead",
    "cancel_on_disconnect",
    "serving",
    "start_likely",
    "start_at_most",
    "start_since",
    "replicas",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line: first those that come before all (`keys.next`), then the line itself."""

    name: str
    first: list[bytes]
    wait: list[bytes]
    pending: int  # events, including those that wait inside the app
    running: int  # calls
    limit: int  # calls at once, on all replicas
    starts: Forecast  # of `first` and `wait`
    waits_for: str  # which call must end first: "group", one of its own; "space", any

    @property
    def group(self) -> str:
        """Whose line it is; "" for functions without a group."""
        return group_of(self.name)

    @property
    def joining(self) -> Eta | None:
        """The estimate for an event that joins now."""
        return self.starts.at(len(self.first) + len(self.wait))


@dataclass(frozen=True, slots=True)
class Lines:
    """The requested lines of a Space. The figures are of the main lane."""

    by_name: dict[str, Line]
    ends_calls: bool  # of visitors who disconnect (`cancel_on_disconnect`)

    @property
    def main(self) -> list[Line]:
        """The lines in which visitors wait."""
        return [line for line in self.by_name.values() if lane_of(line.name) != SIDE]

    @property
    def busy(self) -> list[Line]:
        """Those of them that are not empty."""
        return [line for line in self.main if line.pending or line.running]

    @property
    def pending(self) -> int:
        return sum(line.pending for line in self.main)

    @property
    def running(self) -> int:
        return sum(line.running for line in self.main)

    @property
    def joining(self) -> Eta | None:
        """The estimate for an event that joins the longest line now."""
        found = [line.joining for line in self.busy or self.main]
        known = [promise for promise in found if promise is not None]
        return max(known, key=lambda promise: promise.likely) if len(known) == len(found) else None


# --- reading -----------------------------------------------------------------------------------------

_BEFORE = 5  # answers that come before those of each line


def queue_snapshot_reads(pipe: Any, k: SpaceKeys, names: Sequence[str]) -> None:
    """Add the reads of these lines, and those that every Space has, to a pipeline."""
    pipe.hmget(k.cfg, *_SETTINGS)
    pipe.hgetall(k.service)
    pipe.zrange(k.running, 0, -1, withscores=True)
    pipe.hgetall(k.limits)
    pipe.zrange(k.lines, 0, -1)
    for name in _with_lanes(names):
        pipe.zrange(k.next(name), 0, -1)
        pipe.zrange(k.wait(name), 0, -1)
        pipe.zrange(k.calls(name), 0, -1, withscores=True)


def answers_to(names: Sequence[str]) -> int:
    """The number of a pipeline's answers to the reads of `queue_snapshot_reads`."""
    return _BEFORE + 3 * len(_with_lanes(names))


def names_in(answers: Sequence[Any]) -> list[str]:
    """The lines that are not empty, from the pipeline's answers: to be read next, where they were not."""
    return [name.decode() for name in answers[_BEFORE - 1]]


async def load(redis: Redis, space_id: int) -> Lines:
    """All lines of a Space that are not empty."""
    k = SpaceKeys(space_id)
    names = all_lines(await redis.zrange(k.lines, 0, -1))
    pipe = redis.pipeline(transaction=False)
    queue_snapshot_reads(pipe, k, names)
    pipe.time()
    *answers, server_time = await pipe.execute()
    return parse(answers, names, seconds(server_time))


def _with_lanes(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys((*LANES, *names)))


# --- parsing -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Raw:
    """One line as it was answered; calls as (token, start)."""

    first: list[bytes]
    wait: list[bytes]
    calls: list[tuple[bytes, float]]
    limit: int
    there: int = 0  # the latest of the calls, prefetched, that wait inside the app

    @property
    def inside(self) -> int:
        return len(self.calls) - self.there


def parse(answers: Sequence[Any], names: Sequence[str], now: float) -> Lines:
    """The lines, from what the pipeline answered (`answers_to` values)."""
    settings, service, running, limits, turns, *rest = answers
    each, batch, max_batch, threads, max_running, ahead, ends_calls, *start, named = settings
    raw = {}
    most = max(int(threads or Settings.max_threads), int(each or 0))
    replicas = max(len((named or b"").split()), 1)
    for at, name in enumerate(_with_lanes(names)):
        limit = SIDE_CALLS if lane_of(name) == SIDE else _limit(limits.get(name.encode()), each, most)
        first, wait, calls = rest[at * 3 : at * 3 + 3]
        raw[name] = _Raw(first, wait, calls, limit * replicas)
    cap = int(max_running or most) * replicas
    _find_there(
        [line for name, line in raw.items() if lane_of(name) != SIDE], int(ahead or 0) * replicas, cap
    )
    until_it_runs, known = _start(*start, now=now)
    starts = [Forecast()] * len(raw)
    # No two calls have the same start, so it identifies the call (see claim.lua).
    kind_at = {started: kind_of_id(event_id.decode()) for event_id, started in running}
    in_turn = _in_turn(raw, turns)
    if known:
        starts = forecasts(
            [_waiting(raw[name], kind_at, now, apart=lane_of(name) == SIDE) for name in in_turn],
            total=int(max_running) * replicas if max_running else None,
            services=services_of(service),
            max_batch=int(max_batch or 4) if batch == b"1" else 1,
            start=until_it_runs,
        )
    taken = sum(line.inside for name, line in raw.items() if lane_of(name) != SIDE)
    found = dict(zip(in_turn, starts, strict=True))
    events_at = Counter(started for _, started in running)
    return Lines(
        {name: _line(name, line, found[name], events_at, full=taken >= cap) for name, line in raw.items()},
        ends_calls == b"1",
    )


def _line(name: str, raw: _Raw, starts: Forecast, events_at: Counter[float], *, full: bool) -> Line:
    in_app = sum(events_at[started] for _, started in raw.calls[raw.inside :])
    return Line(
        name=name,
        first=raw.first,
        wait=raw.wait,
        pending=in_app + len(raw.first) + len(raw.wait),
        running=raw.inside,
        limit=raw.limit,
        starts=starts.behind(raw.there),
        waits_for="space" if full and lane_of(name) != SIDE and raw.inside < raw.limit else "group",
    )


def _limit(own: bytes | None, each: bytes | None, most: int) -> int:
    """Calls at once of a line, as claim.lua reads it; "" and "none" are no limit but the threads."""
    number = own if own is not None else b"1" if each is None else each
    return most if number in (b"", b"none", b"0") else int(number)


def _find_there(lines: list[_Raw], ahead: int, total: int) -> None:
    """Find the prefetched calls that wait inside the app, not in their functions yet."""
    for line in lines:
        line.there = min(ahead, max(len(line.calls) - line.limit, 0))
    over = min(ahead, sum(line.inside for line in lines) - total)
    latest = sorted(((line.calls[line.inside - 1][1], at) for at, line in enumerate(lines) if line.inside))
    while over > 0 and latest:
        _, at = latest.pop()
        lines[at].there += 1
        over -= 1
        if lines[at].inside:
            latest = sorted([*latest, (lines[at].calls[lines[at].inside - 1][1], at)])


def _in_turn(raw: Mapping[str, _Raw], turns: Sequence[bytes]) -> list[str]:
    """The lines, the one served longest ago first; those without anybody begin behind all."""
    known = [name for turn in turns if (name := turn.decode()) in raw]
    return list(dict.fromkeys((*known, *raw)))


def _waiting(raw: _Raw, kind_at: Mapping[float, str], now: float, *, apart: bool) -> Waiting:
    inside, waiting = raw.calls[: raw.inside], {started for _, started in raw.calls[raw.inside :]}
    return Waiting(
        kinds=[kind_at.get(started, "") for started in sorted(waiting)]
        + [event_id[KIND_PART].decode() for event_id in (*raw.first, *raw.wait)],
        running=[(kind_at.get(started, ""), max(now - started, 0.0)) for _, started in inside],
        slots=raw.limit,
        first=len(waiting) + len(raw.first),
        apart=apart,
    )


@dataclass(frozen=True, slots=True)
class OfReplicas:
    """One line: `ids` of those who wait, in the order of service; `slots`: calls at once of one replica;
    `calls`: replica -> for each of its calls, its function and for how long it has run."""

    ids: list[bytes]
    slots: int
    calls: dict[str, list[tuple[str, float]]]


@dataclass(frozen=True, slots=True)
class ByReplica:
    """The lines of a Space, replica by replica. `serving`: those whose dispatchers may claim."""

    lines: dict[str, OfReplicas]
    services: dict[str, Service]
    max_batch: int
    max_running: int | None
    serving: list[str]


def by_replica(answers: Sequence[Any], names: Sequence[str], now: float) -> ByReplica:
    """The same answers, with each replica's own calls."""
    settings, service, running, limits, _, *rest = answers
    each, batch, max_batch, threads, max_running, *_, named = settings
    most = max(int(threads or Settings.max_threads), int(each or 0))
    kind_at = {started: kind_of_id(event_id.decode()) for event_id, started in running}
    found = {}
    for at, name in enumerate(_with_lanes(names)):
        first, wait, calls = rest[at * 3 : at * 3 + 3]
        its: dict[str, list[tuple[str, float]]] = {}
        for slot, started in calls:
            replica = slot.decode().partition(":")[0]
            its.setdefault(replica, []).append((kind_at.get(started, ""), max(now - started, 0.0)))
        slots = SIDE_CALLS if lane_of(name) == SIDE else _limit(limits.get(name.encode()), each, most)
        found[name] = OfReplicas([*first, *wait], slots, its)
    return ByReplica(
        found,
        services_of(service),
        int(max_batch or 4) if batch == b"1" else 1,
        int(max_running) if max_running else None,
        (named or b"").decode().split(),
    )


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
