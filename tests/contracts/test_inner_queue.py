"""Gradio's own queue in a Space sleeps while nobody is in it, and wakes at once."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from hardware.runtimes.base_image import LAUNCHER
from tests.compat.conftest import AGES, gradio_python

PROGRAM = Path(__file__).with_name("idle_queue.py")
LOOPS, IDLE_S = 2, 3
#: Two more than one a second: the clock moves in steps.
MOST = LOOPS * (IDLE_S + 2)


@pytest.mark.parametrize("version", AGES)
def test_an_idle_queue_sleeps_and_is_woken_by_an_event_and_by_its_end(version: str) -> None:
    command = [gradio_python(version), str(PROGRAM), str(LAUNCHER)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["loops"] == LOOPS
    assert max(told["alarms"]) <= MOST, "it looks all the time"
    assert told["ran"] == ["x", "x"], "an event waits for the clock"
    assert told["ended"]
