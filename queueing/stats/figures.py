"""Figures of the queues as they are now, for pages and the API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from infra.redis_clients import sync_redis
from queueing.lines import all_lines, line_of
from queueing.store import snapshot
from queueing.store.admin_ops import busy_lines
from queueing.store.keys import SpaceKeys
from queueing.store.queue import day
from queueing.store.scripts import seconds


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One queue now. `eta_s`, `eta_max_s`: seconds until an event that joins now starts, likely and at most;
    None while unknown."""

    pending: int = 0
    running: int = 0
    served_today: int = 0
    eta_s: float | None = None
    eta_max_s: float | None = None


def figures(space_id: int) -> Figures:
    """The figures of one Space."""
    return figures_of([space_id])[space_id]


def figures_of(space_ids: Iterable[int]) -> dict[int, Figures]:
    """The figures of several Spaces, in three round trips."""
    ids = list(space_ids)
    today = day()
    pipe = sync_redis().pipeline(transaction=False)
    for space_id in ids:
        pipe.hget(SpaceKeys(space_id).day(today), "completed")
    found, completed = lines_of(ids), pipe.execute()
    return {
        space_id: _figures(found[space_id], int(served or 0))
        for space_id, served in zip(ids, completed, strict=True)
    }


def lines_of(space_ids: Sequence[int], also: Iterable[str] = ()) -> dict[int, snapshot.Lines]:
    """All lines of each Space that are not empty, and those named."""
    redis = sync_redis()
    pipe = redis.pipeline(transaction=False)
    for space_id in space_ids:
        pipe.zrange(SpaceKeys(space_id).lines, 0, -1)
    names = [[*all_lines(found), *also] for found in pipe.execute()]
    pipe = redis.pipeline(transaction=False)
    for space_id, line_names in zip(space_ids, names, strict=True):
        snapshot.queue_snapshot_reads(pipe, SpaceKeys(space_id), line_names)
    pipe.time()
    *answers, server_time = pipe.execute()
    found, at = {}, 0
    for space_id, line_names in zip(space_ids, names, strict=True):
        after = at + snapshot.answers_to(line_names)
        found[space_id] = snapshot.parse(answers[at:after], line_names, seconds(server_time))
        at = after
    return found


def _figures(lines: snapshot.Lines, served_today: int) -> Figures:
    eta = lines.joining
    return Figures(
        pending=lines.pending,
        running=lines.running,
        served_today=served_today,
        eta_s=None if eta is None else eta.likely,
        eta_max_s=None if eta is None else eta.at_most,
    )


def events(space_id: int, limit: int = 100) -> list[dict[str, Any]]:
    """The events now in a queue, running ones first: id, state, lane, fn, origin, joined, started."""
    client = sync_redis()
    k = SpaceKeys(space_id)
    pipe = client.pipeline(transaction=False)
    pipe.zrange(k.running, 0, limit - 1)
    for name in busy_lines(k):
        pipe.zrange(k.next(name), 0, limit - 1)
        pipe.zrange(k.wait(name), 0, limit - 1)
    ids = [i.decode() for part in pipe.execute() for i in part][:limit]
    fields = ("state", "lane", "fn", "origin", "joined", "started")
    pipe = client.pipeline(transaction=False)
    for event_id in ids:
        pipe.hmget(k.event(event_id), fields)
    return [
        {"id": event_id, **{f: (v or b"").decode() for f, v in zip(fields, values, strict=True)}}
        for event_id, values in zip(ids, pipe.execute(), strict=True)
    ]


def open_events(space_id: int, channel: str) -> list[dict[str, Any]]:
    """The open events of one session: event_id, state, and the position (from 0) of pending ones."""
    client = sync_redis()
    k = SpaceKeys(space_id)
    found = []
    for raw in client.smembers(k.open(channel)) if channel else ():
        event_id = raw.decode()
        about = client.hmget(k.event(event_id), "state", "lane", "group")
        state, lane, group = (v.decode() if v else "" for v in about)
        position = client.zrank(k.wait(line_of(lane, group)), event_id) if state == "pending" else None
        found.append({"event_id": event_id, "state": state, "position": position})
    return found
