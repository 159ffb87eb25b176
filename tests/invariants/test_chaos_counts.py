"""`make chaos` finds what it is there to find: each kind of broken promise, made up here, is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.ledger import Acknowledged, Ledger
from tests.chaos.nemesis import LATE_S, Fault, Settings
from tests.chaos.observer import Reclaim
from tests.chaos.report import back_after, covered, kinds, undisturbed
from tests.chaos.runs import Runs


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "clients")


def runs(tmp_path: Path, *lines: str) -> Runs:
    (tmp_path / "app").write_text("".join(f"{line}\n" for line in lines))
    return Runs.read(tmp_path / "app")


def test_an_acknowledged_event_without_an_end_is_lost(ledger: Ledger) -> None:
    ledger.acknowledge("k1", "e1", "a/b")
    ledger.acknowledge("k2", "e2", "a/b")
    ledger.end("e1", "completed")
    assert [ack.key for ack in ledger.lost] == ["k2"]


def test_two_ends_that_differ_are_counted_and_one_heard_twice_is_not(ledger: Ledger) -> None:
    for event_id, hows in {"e1": ("completed", "completed"), "e2": ("completed", "failed: x")}.items():
        for how in hows:
            ledger.end(event_id, how)
    assert ledger.ended_twice == ["e2"]


def test_one_key_with_two_events_is_counted_and_a_repeated_answer_is_not(ledger: Ledger) -> None:
    for key, event_id in (("k1", "e1"), ("k1", "e1"), ("k2", "e2"), ("k2", "e3")):
        ledger.acknowledge(key, event_id, "a/b")
    assert ledger.acknowledged_twice == ["k2"]


def test_what_was_promised_is_in_the_file(ledger: Ledger, tmp_path: Path) -> None:
    ledger.acknowledge("k1", "e1", "a/b")
    assert (tmp_path / "clients").read_text().split()[1:] == ["ack", "k1", "e1", "a/b"]


@pytest.mark.parametrize(
    ("lines", "twice"),
    [
        (["start k 1-1 1", "end k 1-1 2", "start k 1-1 3", "end k 1-1 4"], 1),  # again in one process
        (["start k 1-1 1", "start k 2-1 2", "end k 2-1 3", "end k 1-1 4"], 1),  # the first one went on
        (["start k 1-1 1", "start k 2-1 5", "end k 2-1 6"], 0),  # the first one died with its process
        (["start k 1-1 1", "end k 1-1 2", "start j 2-1 4", "start k 2-2 5"], 0),  # and so did its result
    ],
)
def test_a_second_run_is_blamed_where_the_first_ones_process_lived(
    tmp_path: Path, lines: list[str], twice: int
) -> None:
    assert len(runs(tmp_path, *lines).twice()) == twice
    assert len(list(runs(tmp_path, *lines).again())) == 1


def test_runs_beside_more_than_the_setting_allowed_are_counted(tmp_path: Path) -> None:
    settings = Settings([(0, 2), (100, 1)])
    at = 100 + LATE_S
    lines = [f"start a 1-1 {at - 2}", f"start b 1-2 {at - 1}", f"end b 1-2 {at}", f"start c 1-2 {at + 1}"]
    found = runs(tmp_path, *lines)
    assert found.most_at_once == 2
    assert [run.key for run in found.over(lambda _: 9, settings.allowed)] == ["c"]


def test_runs_beside_more_of_their_own_function_than_allowed_are_counted(tmp_path: Path) -> None:
    found = runs(tmp_path, "start w1 1-1 1", "start o1 1-2 2", "start w2 1-3 3", "start o2 2-1 4")
    assert [run.key for run in found.over(lambda _: 1, lambda _: 9)] == ["w2"]


def test_calls_of_a_process_that_died_are_not_beside_those_of_the_next(tmp_path: Path) -> None:
    assert runs(tmp_path, "start a 1-1 1", "start b 2-1 2").most_at_once == 1


def test_kills_are_processes_killed_frozen_and_crashed_by_an_input(tmp_path: Path) -> None:
    faults = [Fault(kind, 0) for kind in ("kill web", "kill app", "freeze web", "change settings")]
    crashes = runs(tmp_path, "start p 1-1 1", "dies p 1-1 2", "start p 2-1 3", "dies p 2-1 4").crashes
    assert kinds([*faults, Fault("rolling restart", 0)], crashes).total == 5


def test_a_reclaim_counts_as_undisturbed_unless_what_it_needs_was_broken_meanwhile() -> None:
    reclaim = Reclaim(began=10, seconds=15, ready=True)
    web, late, beat = Fault("kill web", 12), Fault("kill beat", 26), Fault("kill beat", 20)
    assert undisturbed(reclaim, [Fault("kill worker", 9.9), web, late])
    assert not undisturbed(reclaim, [beat])
    assert not undisturbed(Reclaim(began=10, seconds=15, ready=False), [])


def test_the_time_until_a_fault_is_over_is_that_of_the_space_it_hit(ledger: Ledger) -> None:
    for key, space, at, end in (("k1", "a/hit", 1, 3), ("k2", "a/other", 3, 4), ("k3", "a/hit", 3, 11)):
        ledger.acknowledged[key] = Acknowledged(key, f"e-{key}", space, at)
        ledger.ended[f"e-{key}"].append(("completed", end))
    faults = [Fault("kill app", 2, ("a/hit",)), Fault("kill web", 2)]
    assert back_after(ledger, faults) == {
        "kill app": "9.0 (longest 9.0, of 1)",
        "kill web": "2.0 (longest 2.0, of 1)",
    }


def test_the_time_until_another_machine_serves_counts_unless_more_was_broken(ledger: Ledger) -> None:
    for key, space, at, end in (("k1", "a/one", 101, 125), ("k2", "a/two", 101, 140)):
        ledger.acknowledged[key] = Acknowledged(key, f"e-{key}", space, at)
        ledger.ended[f"e-{key}"].append(("completed", end))
    machine, app = Fault("lose machine", 100, ("a/one", "a/two")), Fault("kill app", 110, ("a/one",))
    assert covered(ledger, [machine]) == ([25, 40], [25, 40])
    assert covered(ledger, [machine, app]) == ([25, 40], [40])
    assert covered(ledger, [machine, Fault("kill postgres", 130)]) == ([25, 40], [25])
