"""What is said beside a queue setting, for which facts, and when nothing is said."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.tiers import BUILT_IN, GIB
from queueing.setting_fields import FIELDS, Settings
from queueing.stats.advice import FEWEST, FEWEST_MINUTES, RULES, Facts, GroupUse, Used, advice
from queueing.stats.counters import Tally
from queueing.stats.histograms import bucket_of

CPU = BUILT_IN["cpu"]  # 2 cores, 4 GiB

#: 80 of 100 waited 50 s, the others 1 s; half a container's memory is free and a core too.
CROWDED: dict[str, Any] = {
    "waits": {50: 80, 1: 20},
    "counts": {"page": 100},
    "most_pending": 60,
    "most_running": 1,
    "most_calls": 1,
    "used": (30, 0.9, 1.0),
}
CALM: dict[str, Any] = {**CROWDED, "waits": {0.01: 100}, "most_pending": 2}


def tally(values: dict[str, Any]) -> Tally:
    return Tally(
        counts=Counter(values["counts"]),
        wait=Counter({bucket_of(seconds): n for seconds, n in values["waits"].items()}),
        running=values["most_running"],
        **{
            name: Counter({bucket_of(seconds): n for seconds, n in values.get(name, {}).items()})
            for name in ("service", "left")
        },
    )


def use(given: dict[str, Any], limit: int | None = 1, source: str = "default") -> GroupUse:
    """A group that was at its limit all the time."""
    return GroupUse(limit=limit, source=source, tally=tally({**given, "most_running": limit or 1}))


def facts(given: dict[str, Any], **changed: Any) -> Facts:
    values = {**given, **changed}
    used = values.get("used")
    return Facts(
        main=tally(values),
        groups=values.get("groups", {}),
        batches=values.get("batches", {}),
        most_pending=values["most_pending"],
        most_running=values["most_running"],
        most_calls=values["most_calls"],
        has_batch_function=values.get("has_batch_function", False),
        used=used and Used(minutes=used[0], memory_bytes=int(used[1] * GIB), cores=used[2]),
    )


#: Two of three have left after 20 s; a call takes 2 s, in the middle of its bucket 1.8 s.
IMPATIENT: dict[str, Any] = {"left": {20: 60}, "waits": {30: 30, 1: 10}, "service": {2: 40}}
BATCHES = {"batches": {16: 30, 3: 10}, "has_batch_function": True}

SAID: list[tuple[str, str, Facts, Settings, str]] = [
    (
        "a limit that suits their patience",
        "max_size",
        facts(CROWDED, **IMPATIENT, most_running=2, most_pending=30),
        Settings(max_size=30),
        "At most 30 of 30 places were taken; nobody was turned away.",
    ),
    (
        "half leave after a while",
        "max_size",
        facts(CROWDED, **IMPATIENT, most_running=2),
        Settings(),
        "Half of the visitors give up after 25 s, in which 22 are served: try 22.",
    ),
    (
        "long waits and room for another call",
        "concurrency_count",
        facts(CROWDED),
        Settings(),
        "4 of 5 visitors waited over 30 s; the container used 0.9 of 4 GiB and 1 of 2 cores: try 2 at once.",
    ),
    (
        "long waits, and room for a few more",
        "concurrency_count",
        facts(CROWDED, used=(30, 2.4, 0.4), most_running=4),
        Settings(concurrency_count=4),
        "4 of 5 visitors waited over 30 s; the container used 2.4 of 4 GiB and 0.4 of 2 cores: "
        "try 5 at once.",
    ),
    (
        "long waits, all cores busy",
        "concurrency_count",
        facts(CROWDED, used=(30, 0.9, 1.9)),
        Settings(),
        "4 of 5 visitors waited over 30 s; the container used 0.9 of 4 GiB and 1.9 of 2 cores: more at once "
        "would not help, larger hardware would.",
    ),
    (
        "memory nearly full",
        "concurrency_count",
        facts(CALM, used=(30, 3.8, 1.0), most_running=4),
        Settings(concurrency_count=4),
        "The container used 3.8 of 4 GiB: with fewer than 4 calls at once it would not run out.",
    ),
    (
        "more at once than ever needed",
        "concurrency_count",
        facts(CALM, most_running=3),
        Settings(concurrency_count=8),
        "At most 3 of 8 ran at once; none of the visitors waited over 30 s: it is high enough.",
    ),
    (
        "long waits in one group of several, and room",
        "concurrency_count",
        facts(CROWDED, most_running=2, groups={"/slow": use(CROWDED), "/quick": use(CALM)}),
        Settings(),
        "In /slow 4 of 5 visitors waited over 30 s; the container used 0.9 of 4 GiB and 1 of 2 cores: "
        "try 2 at once.",
    ),
    (
        "long waits in a group with a number of its own",
        "group:gpu",
        facts(CROWDED, most_running=2, groups={"gpu": use(CROWDED, limit=2, source="code"), "/b": use(CALM)}),
        Settings(),
        "4 of 5 visitors waited over 30 s; the container used 0.9 of 4 GiB and 1 of 2 cores: try 4 at once.",
    ),
    (
        "memory nearly full, several groups",
        "max_running",
        facts(CALM, used=(30, 3.8, 1.0), most_running=4, groups={"/a": use(CALM), "/b": use(CALM)}),
        Settings(),
        "The container used 3.8 of 4 GiB while at most 4 calls ran at once: with fewer altogether it would "
        "not run out.",
    ),
    (
        "a total that is what holds them up",
        "max_running",
        facts(CROWDED, used=(30, 1.0, 0.5), most_running=2, groups={"/a": use(CROWDED), "/b": use(CALM)}),
        Settings(max_running=2),
        "4 of 5 visitors waited over 30 s; the container used 1 of 4 GiB: try 4 altogether.",
    ),
    (
        "some were turned away while the others hardly waited",
        "max_size",
        facts(CALM, counts={"page": 100, "full": 25}),
        Settings(max_size=20),
        "25 of 125 found the queue full, while 95 of 100 others waited at most a second: try 40.",
    ),
    (
        "some were turned away and the others waited long",
        "max_size",
        facts(CROWDED, counts={"page": 100, "full": 25}),
        Settings(max_size=60),
        "25 of 125 found the queue full.",
    ),
    (
        "no limit and waits without end",
        "max_size",
        facts(CROWDED, waits={1500: 60, 1: 40}, most_pending=1234),
        Settings(),
        "3 of 5 visitors waited over 10 min, 22 min in the middle, and up to 1,234 at once: a limit would "
        "tell the last ones at once instead.",
    ),
    (
        "a limit nobody reached",
        "max_size",
        facts(CALM),
        Settings(max_size=20),
        "At most 2 of 20 places were taken; nobody was turned away.",
    ),
    (
        "a batch function that is not batched",
        "batch",
        facts(CROWDED, has_batch_function=True),
        Settings(),
        "4 of 5 visitors waited over 30 s, up to 60 at once, and the app has a batch function: try it on.",
    ),
    (
        "full batches, long waits and memory to spare",
        "max_batch_size",
        facts(CROWDED, **BATCHES),
        Settings(batch=True, max_batch_size=16),
        "3 of 4 batches had the full 16 inputs (12.8 on average), and 4 of 5 visitors waited over 30 s; the "
        "container used 0.9 of 4 GiB: try 32.",
    ),
    (
        "full batches and no memory to spare",
        "max_batch_size",
        facts(CROWDED, **BATCHES, used=(30, 2.5, 1.0)),
        Settings(batch=True, max_batch_size=16),
        "3 of 4 batches had the full 16 inputs (12.8 on average), and 4 of 5 visitors waited over 30 s; the "
        "container used 2.5 of 4 GiB, which leaves no room for larger ones.",
    ),
    (
        "batches that never fill",
        "max_batch_size",
        facts(CALM, batches={2: 30, 1: 10}),
        Settings(batch=True, max_batch_size=16),
        "None of the batches had the full 16 inputs (1.8 on average): it is large enough.",
    ),
    (
        "programs that fill the line before the page's visitors",
        "api_open",
        facts(CROWDED, counts={"page": 10, "api": 90}),
        Settings(),
        "9 of 10 events came from programs, and 4 of 5 visitors waited over 30 s: with it off the page's "
        "visitors would wait less.",
    ),
    (
        "programs that were kept out",
        "api_open",
        facts(CALM, counts={"page": 50, "closed": 1200}),
        Settings(api_open=False),
        "1,200 calls by programs were refused; 50 came from the page.",
    ),
    (
        "threads to spare",
        "max_threads",
        facts(CALM, most_calls=12),
        Settings(),
        "At most 12 of 40 calls ran at once: it is high enough.",
    ),
    (
        "no thread left",
        "max_threads",
        facts(CALM, most_calls=40),
        Settings(),
        "At most 40 of 40 calls ran at once, so some had to wait for a thread: try 80.",
    ),
]

SILENT: list[tuple[str, str, Facts, Settings]] = [
    ("nobody waits and all is in use", "concurrency_count", facts(CALM), Settings()),
    ("the container's use is not known", "concurrency_count", facts(CROWDED, used=None), Settings()),
    (
        "the container's use is hardly known",
        "concurrency_count",
        facts(CROWDED, used=(FEWEST_MINUTES - 1, 0.9, 1.0)),
        Settings(),
    ),
    (
        "they waited though there was room: for something else",
        "concurrency_count",
        facts(CROWDED),
        Settings(concurrency_count=2),
    ),
    (
        "too few were served to speak of shares",
        "concurrency_count",
        facts(CROWDED, waits={50: 19}),
        Settings(),
    ),
    (
        "memory nearly full is a matter of all groups",
        "concurrency_count",
        facts(CALM, used=(30, 3.8, 1.0), groups={"/a": use(CALM, limit=4), "/b": use(CALM)}),
        Settings(concurrency_count=4),
    ),
    ("one group has no total", "max_running", facts(CALM, used=(30, 3.8, 1.0), most_running=4), Settings()),
    ("no limit at all", "concurrency_count", facts(CROWDED), Settings(concurrency_count=None)),
    ("no limit is set and none is missed", "max_size", facts(CROWDED), Settings()),
    ("it is on", "batch", facts(CROWDED, has_batch_function=True), Settings(batch=True)),
    ("the app has no batch function", "batch", facts(CROWDED), Settings()),
    ("nobody waits", "batch", facts(CALM, has_batch_function=True), Settings()),
    ("batching is off", "max_batch_size", facts(CROWDED, **BATCHES), Settings(max_batch_size=16)),
    (
        "too few batches",
        "max_batch_size",
        facts(CROWDED, batches={16: FEWEST - 1}),
        Settings(batch=True, max_batch_size=16),
    ),
    (
        "mostly the page's own visitors",
        "api_open",
        facts(CROWDED, counts={"page": 90, "api": 10}),
        Settings(),
    ),
    ("only programs use it", "api_open", facts(CROWDED, counts={"api": 100}), Settings()),
    ("nobody waits for programs", "api_open", facts(CALM, counts={"page": 9, "api": 91}), Settings()),
    ("it is off and no program came", "api_open", facts(CALM), Settings(api_open=False)),
]


@pytest.mark.parametrize(
    ("case", "name", "given_facts", "settings", "sentence"), SAID, ids=[c[0] for c in SAID]
)
def test_facts_that_say_something(
    case: str, name: str, given_facts: Facts, settings: Settings, sentence: str
) -> None:
    assert advice(given_facts, settings, CPU)[name] == sentence


@pytest.mark.parametrize(("case", "name", "given_facts", "settings"), SILENT, ids=[c[0] for c in SILENT])
def test_facts_that_say_nothing(case: str, name: str, given_facts: Facts, settings: Settings) -> None:
    assert name not in advice(given_facts, settings, CPU)


def test_too_few_events_say_nothing_at_all() -> None:
    few = facts(CROWDED, counts={"page": FEWEST - 1}, most_calls=40)
    enough = facts(CROWDED, counts={"page": FEWEST - 1, "full": 1}, most_calls=40)
    assert advice(few, Settings(), CPU) == {}
    assert advice(enough, Settings(), CPU)


def test_on_a_gpu_nothing_is_advised_that_its_memory_may_not_hold() -> None:
    said = advice(facts(CROWDED), Settings(), BUILT_IN["t4"])["concurrency_count"]
    assert said.endswith("What more at once would take of the GPU was not measured.")
    assert "try" not in said


def test_every_setting_has_its_rule() -> None:
    # The first seven; who is next is a matter of what its owner thinks fair, not of figures.
    assert list(RULES) == [field.name for field in FIELDS][: len(RULES)]
    assert len(RULES) == 7


@given(
    memory=st.floats(0.01, 4),
    cores=st.floats(0.01, 2),
    now=st.integers(1, 100),
)
def test_more_at_once_is_never_advised_beyond_the_machine(memory: float, cores: float, now: int) -> None:
    """As if each call took its share of what was used."""
    crowded = facts(CROWDED, used=(30, memory, cores), most_running=now)
    said = advice(crowded, Settings(concurrency_count=now), CPU).get("concurrency_count", "")
    if "try " in said:
        wanted = int(said.split("try ")[1].split()[0])
        assert now < wanted <= 2 * now
        assert wanted * memory / now <= 4
        assert wanted * cores / now <= 2.2 + 1e-9
