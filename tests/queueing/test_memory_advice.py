"""What a Space's owner is offered after calls ran out of memory."""

from __future__ import annotations

from typing import Any

import pytest

from queueing.queue_settings import GroupLimit
from queueing.setting_fields import Settings
from queueing.stats.memory_advice import lower, words
from queueing.stats.memory_ends import MemoryEnd, Ran

GIB = 1024**3


def end(*ran: tuple[str, int], inputs: int = 1) -> MemoryEnd:
    return MemoryEnd(
        ran=tuple(Ran(function=name, group=name, calls=calls, inputs=inputs) for name, calls in ran),
        limit_bytes=4 * GIB,
    )


def group(name: str, limit: int | None, source: str) -> GroupLimit:
    return GroupLimit(group=name, functions=(name,), limit=limit, source=source, without="default")


ONE = [group("/a", 4, "default")]
TWO = [group("/a", 4, "default"), group("/b", 2, "code")]
FOUR = Settings(concurrency_count=4)


@pytest.mark.parametrize(
    ("what", "ends", "limits", "settings", "change", "said"),
    [
        ("nothing", [], ONE, FOUR, None, ""),
        ("the only function", [end(("/a", 4))], ONE, FOUR, {"concurrency_count": 2}, "2 calls at once"),
        ("half of an odd number is rounded up", [end(("/a", 3))], ONE, FOUR, {"concurrency_count": 2},
         "2 calls at once"),
        ("two of them", [end(("/a", 2))], ONE, FOUR, {"concurrency_count": 1}, "1 call at once"),
        ("one function of several", [end(("/a", 4))], TWO, FOUR, {"groups": {"/a": 2}},
         "2 calls of /a at once"),
        ("without limit", [end(("/a", 9))], [group("/a", None, "code")], FOUR, {"groups": {"/a": 5}},
         "5 calls of /a at once"),
        ("functions together", [end(("/a", 3), ("/b", 2))], TWO, FOUR, {"max_running": 3},
         "3 calls at once in total"),
        ("it is so few already", [end(("/a", 4))], [group("/a", 2, "owner")], FOUR, None, ""),
        ("so few in total already", [end(("/a", 3), ("/b", 2))], TWO, Settings(max_running=3), None, ""),
        ("nothing beside it", [end(("/a", 1))], ONE, FOUR, None, ""),
        ("a batch", [end(("/a", 1), inputs=16)], ONE, Settings(max_batch_size=16), {"max_batch_size": 8},
         "batches of at most 8"),
        ("the batches are so small already", [end(("/a", 1), inputs=16)], ONE, Settings(max_batch_size=8),
         None, ""),
        ("of Gradio 3, which has no groups", [end(("", 4))], [], FOUR, {"concurrency_count": 2},
         "2 calls at once"),
        ("the newest counts", [end(("/a", 4)), end(("/b", 2))], TWO, FOUR, {"groups": {"/a": 2}},
         "2 calls of /a at once"),
    ],
)  # fmt: skip
def test_fewer_at_once_are_offered(
    what: str,
    ends: list[MemoryEnd],
    limits: list[GroupLimit],
    settings: Settings,
    change: dict[str, Any] | None,
    said: str,
) -> None:
    found = lower(ends, limits, settings)
    assert found == change, what
    assert (words(found) if found else "") == said


def test_an_end_is_a_sentence() -> None:
    assert end(("/a", 1)).sentence == "Ran out of memory: all of 4 GB, while 1 call of /a ran."
    assert end(("/a", 2), ("/b", 1), inputs=8).sentence == (
        "Ran out of memory: all of 4 GB, while 2 calls of /a with 8 inputs and 1 call of /b with 8 inputs "
        "ran at once."
    )
