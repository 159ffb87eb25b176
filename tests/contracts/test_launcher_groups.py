"""How the launcher tells groups of functions, tried in an interpreter of its own: what other tests leave in
this one must not reach the Gradio that the cases build apps with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_groups_are_gradios_own() -> None:
    cases = Path(__file__).with_name("launcher_groups.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(cases)],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:]
    assert "8 passed" in done.stdout
