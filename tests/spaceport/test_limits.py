"""What the platform's processes ask of the system."""

from __future__ import annotations

import resource
import subprocess
import sys

from tests.platform_server import ROOT

SAY = "import resource; print(*resource.getrlimit(resource.RLIMIT_NOFILE))"


def test_processes_may_open_as_many_files_as_the_system_allows() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    said = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "shell", "--no-imports", "-c", SAY],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard)),
        check=True, capture_output=True, text=True, timeout=60,
    ).stdout  # fmt: skip
    soft, still = map(int, said.split())
    assert still == hard
    assert soft > 256
