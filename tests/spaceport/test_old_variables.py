"""Environment variables of earlier versions still count, and say what they are called now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROXIES = "from spaceport.settings import SPACEPORT_TRUSTED_PROXY_COUNT as value"
GRACE = "from spaceport.settings import SPACEPORT_DISCONNECT_GRACE_S as value"


def read(statement: str, **variables: str) -> tuple[str, str]:
    """What a process with these variables reads, and what it warns of."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}; print(value)"],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}", **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip(), done.stderr


@pytest.mark.parametrize(
    ("statement", "name", "before", "value"),
    [
        (PROXIES, "SPACEPORT_TRUSTED_PROXY_COUNT", "SPACEPORT_PROXIES", "2"),
        (GRACE, "SPACEPORT_DISCONNECT_GRACE_S", "SPACEPORT_AWAY_S", "7.5"),
    ],
)
def test_a_variables_old_name_counts_with_a_warning(
    tmp_path: Path, statement: str, name: str, before: str, value: str
) -> None:
    home = {"SPACEPORT_HOME": str(tmp_path)}
    found, warned = read(statement, **home, **{before: value})
    assert found == value
    assert f"{before} is called {name} now" in warned
    assert read(statement, **home, **{name: value, before: "1"}) == (value, "")
