"""A short chaos run with a fixed seed: whatever dies, no accepted event is lost or doubled."""

from __future__ import annotations

import pytest

from tests.chaos.report import Report
from tests.chaos.run import Plan, chaos

SEED, SECONDS = 5, 12.0
#: What recovers in seconds; what takes a lease is the matter of `test_process_faults`.
WEIGHTS = {
    "kill web": 2, "kill app": 2, "kill valkey": 2, "kill postgres": 1, "kill worker": 1, "kill beat": 1,
    "freeze web": 1, "freeze valkey": 1, "change settings": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def report() -> Report:
    return chaos(
        Plan(
            seed=SEED, seconds=SECONDS, clients=12, spaces=2, every_s=1.2, weights=WEIGHTS, progress=False
        )
    )  # fmt: skip


def test_under_load_and_faults_nothing_is_lost(report: Report) -> None:
    assert report.accepted > 30, report
    assert report.kills_total >= 3, report
    assert report.lost == 0, report


def test_under_load_and_faults_nothing_is_doubled(report: Report) -> None:
    assert report.ended_twice == 0, report
    assert report.acknowledged_twice == 0, report
    assert report.run_twice == 0, report
    assert report.wrong == 0, report


def test_under_load_and_faults_concurrency_and_size_are_kept(report: Report) -> None:
    assert report.concurrency_exceeded == 0, report
    assert report.size_exceeded == 0, report
