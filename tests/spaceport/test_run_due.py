"""One message runs all scheduled tasks that are due together."""

from __future__ import annotations

import logging

import pytest

from spaceport import tasks
from spaceport.celery import SCHEDULE, app


def test_a_task_that_fails_leaves_the_others_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[str] = []

    def fails() -> None:
        raise ValueError("of this task only")

    monkeypatch.setitem(SCHEDULE, 4, ["fails", "works"])
    monkeypatch.setitem(app.tasks, "fails", fails)
    monkeypatch.setitem(app.tasks, "works", lambda: ran.append("works"))
    with caplog.at_level(logging.ERROR):
        tasks.run_due(4)
    assert ran == ["works"]
    assert "of this task only" in caplog.text


def test_every_scheduled_task_exists_and_an_interval_of_another_version_does_nothing() -> None:
    app.loader.import_default_modules()
    assert {name for names in SCHEDULE.values() for name in names} <= app.tasks.keys()
    tasks.run_due(5)
