"""What the scripts answer, as values and errors."""

from __future__ import annotations

from typing import Any

from queueing.errors import (
    ApiClosed,
    KeyReused,
    PoisonInput,
    QueueFull,
    Refused,
    StorageLimit,
    VisitorLimit,
)
from queueing.events import Accepted, Call, Event


def accepted_of(answer: list[Any], event_id: str) -> Accepted:
    """What `join` answers of this event.

    Raises:
        QueueFull, VisitorLimit, StorageLimit, ApiClosed, Refused, KeyReused, PoisonInput
    """
    match answer:
        case [b"accepted", position, size, alive, end_in_flight]:
            return Accepted(
                event_id=event_id,
                position=position,
                size=size,
                wake=not alive,
                end_in_flight=bool(end_in_flight),
            )
        case [b"duplicate", first]:
            return Accepted(event_id=first.decode(), position=0, size=0, wake=False, replayed=True)
        case [b"full", size, max_size]:
            raise QueueFull(size, max_size)
        case [b"limit", pending, limit]:
            raise VisitorLimit(pending, limit)
        case [b"bytes", kept, limit]:
            raise StorageLimit(kept, limit)
        case [b"reused"]:
            raise KeyReused
        case [b"poison"]:
            raise PoisonInput
        case [b"closed"]:
            raise ApiClosed
        case [b"refused", text]:
            raise Refused(text.decode())
    raise AssertionError(answer)


def call_of(raw: list[Any], replica: str) -> Call:
    """A call as `claim` answers it to the dispatcher of this replica."""
    line, token, slots, total, each, *events = raw
    calls = tuple(_event(e) for e in events)
    return Call(
        line=line.decode(),
        token=int(token),
        replica=replica,
        slots=slots,
        total=total,
        each=each,
        events=calls,
    )


def _event(raw: list[bytes | None]) -> Event:
    event_id, fn, channel, body, request, origin, *rest = raw
    joined, deaths, visit, losses, moves, published, cancel, retry = rest
    return Event(
        id=(event_id or b"").decode(),
        fn=(fn or b"").decode(),
        channel=(channel or b"").decode(),
        raw_body=body or b"{}",
        raw_request=request or b"{}",
        origin=(origin or b"api").decode(),
        joined=float(joined or 0),
        deaths=int(deaths or 0),
        losses=int(losses or 0),
        moves=int(moves or 0),
        published=int(published or 0),
        cancel=cancel == b"1",
        retry=retry != b"0",
        visit=(visit or b"").decode(),
    )
