"""What is set after a measurement, and what is said about it."""

from __future__ import annotations

from typing import Any

from queueing.queue_settings import GroupLimit
from queueing.setting_fields import Settings
from queueing.stats.patience import Patience
from queueing.tuning.recommend import recommend
from queueing.tuning.results import GroupResult, Results
from queueing.tuning.sweep import Measured, Point

MIB = 1024**2
REST = 300 * MIB


def point(concurrency: int, throughput: float, mib: int, batch: int = 1, **more: Any) -> Measured:
    values = {"p50_s": 0.1, "p95_s": 0.1 * concurrency, "calls": 50, "cores": min(concurrency, 2)}
    values |= {"error": throughput / 100}
    return Measured(
        point=Point(concurrency, batch), throughput=throughput,
        memory_bytes=REST + mib * MIB, **(values | more),
    )  # fmt: skip


def group(name: str, *points: Measured, **more: Any) -> GroupResult:
    return GroupResult(group=name, functions=(name,), inputs="examples", points=points, **more)


def results(*groups: GroupResult, limit_mib: int = 4096) -> Results:
    return Results(cores=2, memory_limit_bytes=limit_mib * MIB, rest_bytes=REST, groups=groups)


def limit(name: str, source: str = "default") -> GroupLimit:
    return GroupLimit(group=name, functions=(name,), limit=1, source=source, without="default")


TWO_CORES = group("/draw", point(1, 10, 900), point(2, 19.6, 1800), point(4, 20.0, 3100), point(3, 20, 2700))


def test_the_only_function_gets_the_guides_setting_and_a_reason() -> None:
    found = recommend(results(TWO_CORES), Settings(), [limit("/draw")], Patience())
    assert found.settings == {"concurrency_count": 2}
    (choice,) = found.choices
    assert choice.why == (
        "2 calls at once serve 2.0 times as many events as one at a time; then a call takes 200 ms (p95) "
        "instead of 100 ms.",
        "2 cores, 2.0 busy: 3 calls at once gain 2 % and cost 0.9 GiB.",
    )
    assert found.expected == "/draw: 2 calls at once, 19.6 events a second, p95 200 ms."
    again = recommend(results(TWO_CORES), Settings(concurrency_count=2), [limit("/draw")], Patience())
    assert again.settings == {}


def test_what_makes_it_unsure_is_said() -> None:
    busy = group("/f", point(1, 10, 1, crowded=True), point(2, 10, 1))
    (choice,) = recommend(results(busy), Settings(), [limit("/f")], Patience()).choices
    assert "Other work kept the machine's cores busy" in choice.why[-1]
    shaky = group("/f", point(1, 10, 1, error=0.8), point(2, 10, 1))
    (choice,) = recommend(results(shaky), Settings(), [limit("/f")], Patience()).choices
    assert "uncertain by 8 %" in choice.why[-1]


def test_what_is_taken_from_neighbours_is_no_gain() -> None:
    taking = [point(1, 2.0, 1, cores=0.9), point(2, 2.1, 1), point(4, 2.4, 1, crowded=True), point(16, 4, 1)]
    (choice,) = recommend(results(group("/f", *taking)), Settings(), [limit("/f")], Patience()).choices
    assert choice.point.point == Point(4)
    waiting = [point(1, 2, 1, cores=0.1), point(16, 30, 1, crowded=True)]
    (choice,) = recommend(results(group("/f", *waiting)), Settings(), [limit("/f")], Patience()).choices
    assert choice.point.point == Point(16)


def test_a_number_in_the_code_and_several_groups_are_set_by_name() -> None:
    in_code = recommend(results(TWO_CORES), Settings(), [limit("/draw", "code")], Patience())
    assert in_code.settings == {"groups": {"/draw": 2}}
    slow = group("/slow", point(1, 1, 10), point(2, 1.0, 20))
    both = recommend(results(TWO_CORES, slow), Settings(), [limit("/draw"), limit("/slow")], Patience())
    assert both.settings == {"groups": {"/draw": 2}}  # the other one has its one already


def test_groups_that_run_beside_each_other_share_the_memory() -> None:
    one = group("/one", point(1, 10, 800), point(2, 20, 1600), point(3, 30, 2400))
    other = group("/other", point(1, 1, 100), point(2, 2, 1500))
    limits = [limit("/one"), limit("/other")]
    found = recommend(results(one, other), Settings(), limits, Patience())
    points = {choice.group: choice.point for choice in found.choices}
    used = REST + sum(each.memory_bytes - REST for each in points.values())
    assert used <= results().bound_bytes
    assert points["/other"].point == Point(1)
    assert "All groups together" in found.why[-1]


def test_batches_are_turned_on_with_their_size() -> None:
    found = recommend(
        results(group("/b", point(1, 10, 5), point(1, 80, 9, 16), point(2, 81, 12, 16), is_batch=True)),
        Settings(), [limit("/b")], Patience(),
    )  # fmt: skip
    assert found.settings == {"batch": True, "max_batch_size": 16}


def test_threads_are_raised_where_they_would_be_too_few() -> None:
    wide = group("/w", point(1, 1, 1), point(64, 64, 20))
    found = recommend(results(wide), Settings(), [limit("/w")], Patience())
    assert found.settings == {"concurrency_count": 64, "max_threads": 64}


def test_the_queue_is_as_long_as_visitors_bear() -> None:
    half_leave_after_a_minute = Patience(steps=((30.0, 0.7), (60.0, 0.4)))
    found = recommend(results(TWO_CORES), Settings(), [limit("/draw")], half_leave_after_a_minute)
    assert found.settings["max_size"] == 1176
    assert found.why == (
        "Half of the visitors give up before they have waited 60 s; about 1176 events are served in that "
        "time, so more need not wait.",
    )


def test_nothing_that_worked_recommends_nothing() -> None:
    failing = group("/f", point(1, 1, 1, failed=50))
    found = recommend(results(failing), Settings(), [limit("/f")], Patience())
    assert (found.settings, found.choices, found.why) == ({}, (), ())


def test_what_is_stored_comes_back() -> None:
    stored = results(TWO_CORES, group("/b", point(1, 2, 3, 4), is_batch=True))
    assert Results.from_json(stored.to_json()) == stored
