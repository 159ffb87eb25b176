"""`python -m spaceport.up.steps STEP`: what the supervisor leaves to others, since it needs Django or the
containers' engine: `examples`, `lacking`, `stop`. Each line that it prints is news."""

from __future__ import annotations

import os
import sys
import time

import django
from django.conf import settings

CHECK_EVERY_S = 10


def lacking() -> str | None:
    """What builds are lacking; "" where that is unknown now, None where nothing is."""
    from hardware.runtimes import choose
    from hardware.runtimes.base import EngineUnavailable

    try:
        return choose(settings.SPACEPORT_RUNTIME).lacks() or None
    except EngineUnavailable:
        return ""


def _examples() -> None:
    from spaceport.up import bootstrap

    for space in bootstrap.examples():
        _report(f"pushed the example {space}")


def _report_what_is_lacking() -> None:
    """Repeat until nothing is lacking."""
    reported = ""
    while (lacks := lacking()) is not None:
        if lacks and not reported:
            _report(lacks)
            reported = lacks
        time.sleep(CHECK_EVERY_S)
    if reported:
        _report("Nothing is missing any more: builds go on.")


def _stop_replicas() -> None:
    """Containers outlive their worker; a stopped platform leaves none."""
    from hardware.runtimes import choose

    runtime = choose(settings.SPACEPORT_RUNTIME)
    for running in runtime.running().values():
        runtime.stop(running.runtime_id, grace_s=3)
    runtime.end_standby()


def _report(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


STEPS = {"examples": _examples, "lacking": _report_what_is_lacking, "stop": _stop_replicas}

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spaceport.settings")
    if sys.argv[1] != "stop":  # which needs no rows, and somebody waits for it
        django.setup()
    STEPS[sys.argv[1]]()
