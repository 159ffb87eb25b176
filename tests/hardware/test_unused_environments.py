"""Plain processes leave nothing for ever: what ended long ago goes, and environments that nothing uses."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from hardware.runtimes import shim, venvs
from hardware.runtimes.process import KEEP_ENDED_S, ProcessRuntime
from infra import file_locks

NOW = time.time()
DAY = 24 * 3600


def environment(home: Path, name: str, days: float) -> Path:
    """One that was used so many days ago."""
    folder = home / "environments" / name
    folder.mkdir(parents=True)
    (folder / "complete").touch()
    venvs.used(folder)
    os.utime(f"{folder}.lock", (NOW - days * DAY, NOW - days * DAY))
    return folder


def replica(home: Path, number: int, *, began: float, ended: float | None = None, **state: object) -> Path:
    folder = home / "replicas" / str(number)
    folder.mkdir(parents=True)
    for name, at in (("state.json", began), ("exit.json", ended)):
        if at is not None:
            (folder / name).write_text(json.dumps({"pid": 2**22 + 1, "started_at": "0", **state}))
            os.utime(folder / name, (at, at))
    os.utime(folder, (began, began))
    return folder


def test_environments_go_that_nothing_was_started_with_for_a_month(tmp_path: Path) -> None:
    old, fresh, runs, built = (
        environment(tmp_path, f"py3.11-{name}", days)
        for name, days in (("old", 31), ("fresh", 29), ("runs", 90), ("built", 31))
    )
    me = {"pid": os.getpid(), "started_at": shim.started_at(os.getpid())}
    replica(tmp_path, 1, began=NOW - 90 * DAY, **me, environment=str(runs))
    with file_locks.waited_for(Path(f"{built}.lock")):
        os.utime(f"{built}.lock", (NOW - 31 * DAY, NOW - 31 * DAY))
        ProcessRuntime(tmp_path)._prune(NOW)
    assert [one.exists() for one in (old, fresh, runs, built)] == [False, True, True, True]
    assert (tmp_path / "replicas" / "1").exists()


def test_an_app_that_an_earlier_version_started_keeps_all_environments(tmp_path: Path) -> None:
    folder = environment(tmp_path, "py3.11-its", 31)
    me = {"pid": os.getpid(), "started_at": shim.started_at(os.getpid())}
    replica(tmp_path, 1, began=NOW - 90 * DAY, **me)
    ProcessRuntime(tmp_path)._prune(NOW)
    assert folder.exists()


def test_what_is_used_stays_another_month(tmp_path: Path) -> None:
    folder = environment(tmp_path, "py3.11-used", 31)
    venvs.used(folder)
    ProcessRuntime(tmp_path)._prune(time.time())
    assert folder.exists()


@pytest.mark.parametrize("noted", [True, False])
def test_what_is_left_of_ended_replicas_goes_after_a_day(tmp_path: Path, noted: bool) -> None:
    """Also where the machine ended with them, and nobody noted it."""
    old, new = NOW - KEEP_ENDED_S - 60, NOW - KEEP_ENDED_S + 60
    gone = replica(tmp_path, 1, began=old, ended=old if noted else None)
    kept = replica(tmp_path, 2, began=old if noted else new, ended=new if noted else None)
    ProcessRuntime(tmp_path)._prune(NOW)
    assert (gone.exists(), kept.exists()) == (False, True)
