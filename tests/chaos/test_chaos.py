"""A short run of `make chaos`: nothing accepted is lost, nothing ends twice."""

from __future__ import annotations

import pytest

from tests.chaos.run import chaos


@pytest.mark.timeout(400)
def test_nothing_accepted_is_lost_or_ends_twice_whatever_dies() -> None:
    report = chaos(seed=1, seconds=45)
    print(report)
    assert report.accepted > 50
    assert sum(report.faults.values()) >= 5
    assert report.lost == 0
    assert report.doubled == 0
