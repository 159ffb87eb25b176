"""Figures of the queues as they are now, for pages and the API."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from queueing import line
from queueing.connections import sync_redis
from queueing.keys import SpaceKeys
from queueing.messages import failed, paused
from queueing.queue import FINAL_TTL_S, day
from queueing.scripts import seconds


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One queue now. `eta_s`, `eta_max_s`: seconds until somebody who joins now starts, likely and at most;
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
    """The figures of several Spaces, in one round trip."""
    ids = list(space_ids)
    today = day()
    pipe = sync_redis().pipeline(transaction=False)
    for space_id in ids:
        k = SpaceKeys(space_id)
        line.ask(pipe, k)
        pipe.hget(k.day(today), "completed")
    pipe.time()
    *answers, server_time = pipe.execute()
    now, each = seconds(server_time), line.ANSWERS + 1
    return {space_id: _figures(answers[at * each : (at + 1) * each], now) for at, space_id in enumerate(ids)}


def _figures(answers: list[Any], now: float) -> Figures:
    *about, completed = answers
    main = line.understand(about, now)["main"]
    eta = main.eta(len(main.wait))
    return Figures(
        pending=main.pending,
        running=main.running,
        served_today=int(completed or 0),
        eta_s=None if eta is None else eta.likely,
        eta_max_s=None if eta is None else eta.at_most,
    )


def events(space_id: int, limit: int = 100) -> list[dict[str, Any]]:
    """The events now in a queue, running ones first: id, state, lane, fn, origin, joined, started."""
    client = sync_redis()
    k = SpaceKeys(space_id)
    pipe = client.pipeline(transaction=False)
    pipe.zrange(k.running, 0, limit - 1)
    for lane in ("main", "side"):
        pipe.zrange(k.next(lane), 0, limit - 1)
        pipe.zrange(k.wait(lane), 0, limit - 1)
    ids = [i.decode() for part in pipe.execute() for i in part][:limit]
    fields = ("state", "lane", "fn", "origin", "joined", "started")
    pipe = client.pipeline(transaction=False)
    for event_id in ids:
        pipe.hmget(k.event(event_id), fields)
    return [
        {"id": event_id, **{f: (v or b"").decode() for f, v in zip(fields, values, strict=True)}}
        for event_id, values in zip(ids, pipe.execute(), strict=True)
    ]


CLEARED = "The owner cleared the queue of this Space. Please send it again."


def clear(space_id: int, reason: str = CLEARED) -> int:
    """End every pending event with a final message that says why; how many."""
    from queueing.scripts import Script

    client = sync_redis()
    k = SpaceKeys(space_id)
    script = Script("cancel")
    cancel = client.register_script(script.source)
    cleared = 0
    today = k.day(day())
    for lane in ("main", "side"):
        for raw in (*client.zrange(k.next(lane), 0, -1), *client.zrange(k.wait(lane), 0, -1)):
            event_id = raw.decode()
            channel = (client.hget(k.event(event_id), "channel") or b"").decode()
            answer = cancel(
                keys=script.in_order(
                    event=k.event(event_id),
                    wait=k.wait(lane),
                    next=k.next(lane),
                    shares=k.shares(lane),
                    messages=k.messages(channel),
                    open=k.open(channel),
                    day=today,
                    promises=k.promises,
                    minutes=k.minutes,
                ),
                args=[event_id, channel, failed(event_id, reason), FINAL_TTL_S, k.wake],
            )
            cleared += answer[0] == b"cancelled"
    return cleared


def tell_paused(space_id: int) -> int:
    """Tell every event that waits or runs that it waits for its Space to start again; how many."""
    from queueing.scripts import Script

    client = sync_redis()
    k = SpaceKeys(space_id)
    script = Script("notice")
    told: int = client.register_script(script.source)(
        keys=script.in_order(running=k.running, wait_main=k.wait("main"), next_main=k.next("main")),
        args=[k.prefix, paused("EVENT_ID"), FINAL_TTL_S],
    )
    return told


def places(space_id: int, channel: str) -> list[dict[str, Any]]:
    """The open events of one session: event_id, state, and the position (from 0) of pending ones."""
    client = sync_redis()
    k = SpaceKeys(space_id)
    found = []
    for raw in client.smembers(k.open(channel)) if channel else ():
        event_id = raw.decode()
        state, lane = (v.decode() if v else "" for v in client.hmget(k.event(event_id), "state", "lane"))
        position = client.zrank(k.wait(lane), event_id) if state == "pending" else None
        found.append({"event_id": event_id, "state": state, "position": position})
    return found
