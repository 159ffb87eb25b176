"""The lint step finds a local name that its own first value reads, and nothing else."""

from __future__ import annotations

import pytest

from tests.lint.first_bindings import self_reading


def lines(*body: str) -> str:
    return "from queue import events, lock\n" + "\n    ".join(["async def f(a, *rest, b=1):", *body])


@pytest.mark.parametrize(
    "body",
    [
        ["events = events(a)"],
        ["events = [event for event in events(a)]"],
        ["events = [event for space in a for event in events(space)]"],
        ["found = {}; events: list = {x: events(x) for x in a}"],
        ["x, events = 1, list(events(x) for x in a)"],
        ["for events in events(a): pass"],
        ["async for events in events(a): pass"],
        ["with lock() as lock: pass"],
        ["if (events := events(a)): pass"],
        ["def g():", "    events = [events(x) for x in a]", "    return events"],
    ],
)
def test_a_name_that_its_own_first_value_reads_is_found(body: list[str]) -> None:
    found = list(self_reading(lines(*body)))
    assert [name for name, _ in found] == ["lock" if "lock" in body[0] else "events"]


@pytest.mark.parametrize(
    "body",
    [
        ["found = events(a)"],
        ["a = a + 1"],
        ["rest = [one for one in rest]; b = b"],
        ["events = None", "events = events or a"],
        ["events = [events for events in a]"],
        ["events = lambda: events(a)"],
        ["def events(): return events()"],
        ["global events", "events = events(a)"],
        ["self.events = events(a)"],
        ["for events in a: events = events.next"],
        ["with a as lock: lock = lock.inner"],
        ["import events", "events = events.all"],
        ["try: pass", "except OSError as events: events = str(events)"],
        ["match a:", "    case {'x': events, **lock}: events, lock = events + 1, lock.a"],
        ["class C:", "    events = events"],
    ],
)
def test_names_that_have_a_value_already_or_are_read_later_are_not(body: list[str]) -> None:
    assert list(self_reading(lines(*body))) == []
