"""What waits in a Space's queue and how busy each of its replicas is: from this the number of replicas is
decided (`spaces.scaling`). Four round trips for any number of Spaces."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from infra.redis_clients import sync_redis
from queueing.eta import Service
from queueing.events import kind_of_id
from queueing.lines import MAIN, all_lines, lane_of
from queueing.stats.counters import parse_minute
from queueing.store import snapshot
from queueing.store.keys import SpaceKeys
from queueing.store.scripts import seconds

#: Of each line so many events are looked at one by one; of those behind, as many are free as of these.
LOOKED_AT = 256


class Waiting(NamedTuple):
    """An event in line: its function (as `queueing.events.kind_of`), how long it has waited, in seconds, and
    the replica that alone may take it; "": any may."""

    kind: str
    waited_s: float
    home: str = ""


@dataclass(frozen=True, slots=True)
class LineDemand:
    """One line. `slots`: calls at once of one replica; `calls`: replica -> for each call that runs there, its
    function and for how long it has."""

    slots: int
    waiting: Sequence[Waiting]
    calls: dict[str, list[tuple[str, float]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """`now`: Redis's time, in Unix seconds. `came`: minute since 1970 -> function -> events accepted in it,
    of this minute and the one before."""

    now: float
    lines: dict[str, LineDemand] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    max_batch: int = 1
    max_running: int | None = None
    serving: Sequence[str] = ()
    came: dict[int, Counter[str]] = field(default_factory=dict)


def demands(space_ids: Sequence[int]) -> dict[int, Demand]:
    """Of each of these Spaces: of the lines in which visitors wait."""
    pipe = sync_redis().pipeline(transaction=False)
    for space_id in space_ids:
        pipe.zrange(SpaceKeys(space_id).lines, 0, -1)
    pipe.time()
    *known, time = pipe.execute()
    now = seconds(time)
    names = [all_lines(one) for one in known]
    answers = _read(space_ids, names, now)
    lines = [
        snapshot.by_replica(one[: snapshot.answers_to(its)], its, now)
        for one, its in zip(answers, names, strict=True)
    ]
    found = {}
    waiting = _waiting(space_ids, lines, now)
    for space_id, one, of_space, events in zip(space_ids, answers, lines, waiting, strict=True):
        found[space_id] = Demand(
            now=now,
            lines={
                name: LineDemand(line.slots, list(_of_line(line.ids, events)), line.calls)
                for name, line in of_space.lines.items()
                if lane_of(name) == MAIN
            },
            services=of_space.services,
            max_batch=of_space.max_batch,
            max_running=of_space.max_running,
            serving=of_space.serving,
            came={minute: _came(fields) for minute, fields in zip(_minutes(now), one[-2:], strict=True)},
        )
    return found


def _minutes(now: float) -> tuple[int, int]:
    return int(now // 60) - 1, int(now // 60)


def _read(space_ids: Sequence[int], names: Sequence[Sequence[str]], now: float) -> list[list[Any]]:
    pipe = sync_redis().pipeline(transaction=False)
    sizes = []
    for space_id, its in zip(space_ids, names, strict=True):
        snapshot.queue_snapshot_reads(pipe, SpaceKeys(space_id), its)
        for minute in _minutes(now):
            pipe.hgetall(SpaceKeys(space_id).minute(minute))
        sizes.append(snapshot.answers_to(its) + 2)
    answers = iter(pipe.execute())
    return [[next(answers) for _ in range(size)] for size in sizes]


def _came(fields: dict[bytes, bytes]) -> Counter[str]:
    found: Counter[str] = Counter()
    for (lane, fn), tally in parse_minute(fields).functions.items():
        if lane == MAIN and tally.arrivals:
            found[fn] += tally.arrivals
    return found


def _waiting(
    space_ids: Sequence[int], lines: Sequence[snapshot.ByReplica], now: float
) -> list[dict[bytes, Waiting]]:
    """Of each Space, the first events of its lines."""
    redis = sync_redis()
    pipe = redis.pipeline(transaction=False)
    looked_at = []
    for space_id, of_space in zip(space_ids, lines, strict=True):
        ids = [
            event_id
            for name, line in of_space.lines.items()
            if lane_of(name) == MAIN
            for event_id in line.ids[:LOOKED_AT]
        ]
        looked_at.append(ids)
        for event_id in ids:
            pipe.hmget(SpaceKeys(space_id).event(event_id.decode()), "joined", "session", "replica")
    about = iter(pipe.execute())
    fields = [{event_id: next(about) for event_id in ids} for ids in looked_at]
    pins = _pins(space_ids, [{session for _, session, _ in one.values() if session} for one in fields])
    return [
        {
            event_id: Waiting(
                kind_of_id(event_id.decode()),
                max(now - float(joined or now), 0.0),
                _home(of_space.serving, (ran or b"").decode(), pinned.get(session, "")),
            )
            for event_id, (joined, session, ran) in one.items()
        }
        for of_space, one, pinned in zip(lines, fields, pins, strict=True)
    ]


def _pins(space_ids: Sequence[int], sessions: Sequence[Iterable[bytes]]) -> list[dict[bytes, str]]:
    pipe = sync_redis().pipeline(transaction=False)
    asked = [list(one) for one in sessions]
    for space_id, its in zip(space_ids, asked, strict=True):
        for session in its:
            pipe.get(SpaceKeys(space_id).pin(session.decode()))
    answers = iter(pipe.execute())
    return [{session: (next(answers) or b"").decode() for session in its} for its in asked]


def _home(serving: Sequence[str], *named: str) -> str:
    """The first that serves: where it ran, then where its session is, as `claim` has it."""
    return next((replica for replica in named if replica in serving), "")


def _of_line(ids: Sequence[bytes], known: dict[bytes, Waiting]) -> Iterator[Waiting]:
    first = [known[event_id] for event_id in ids[:LOOKED_AT]]
    yield from first
    behind = ids[LOOKED_AT:]
    if not behind:
        return
    homes: defaultdict[str, int] = defaultdict(int)
    for one in first:
        homes[one.home] += 1
    shares = [home for home, count in homes.items() for _ in range(count)]
    for at, event_id in enumerate(behind):
        # Later ones have waited less; how much less is not looked up.
        yield Waiting(kind_of_id(event_id.decode()), 0.0, shares[at % len(shares)])
