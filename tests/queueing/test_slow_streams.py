"""A client that reads its stream slowly: it gets every message, of its places only the newest."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import msgspec

from queueing.delivery.cursors import Begin
from queueing.delivery.delayed_ends import DelayedEnds
from queueing.delivery.waiters import Place
from queueing.protocols.gradio_stream import Stream


def told(chunk: bytes) -> Any:
    return msgspec.json.decode(chunk.removeprefix(b"data: "))


async def test_of_an_events_places_it_keeps_only_the_newest() -> None:
    stream = Stream(Mock(), Mock(), DelayedEnds(), Mock(), Mock(), Begin(0, frozenset(), ()), keep_s=0)
    for position in range(1000, 0, -1):
        for event in ("one", "two"):
            stream.place(Place(event, position, 1000, None))
    assert stream.out.qsize() == 2
    ranks = {}
    while not stream.out.empty():
        message = told(await stream._chunk_of(stream.out.get_nowait()))
        ranks[message["event_id"]] = message["rank"]
    assert ranks == {"one": 1, "two": 1}
    stream.place(Place("one", 0, 1, None))
    assert told(await stream._chunk_of(stream.out.get_nowait()))["rank"] == 0
