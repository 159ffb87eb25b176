"""The client of a year ago, in a Python of its own, does with a Space what its owners did then."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest

from tests.compat.conftest import hub_python
from tests.hub_server import Hub
from tests.spaces.test_lfs_hub_client import YEAR_AGO

pytestmark = pytest.mark.long

_numbers = itertools.count(1)


def test_all_that_the_older_client_offers_for_spaces_works(hub: Hub, tmp_path: Path) -> None:
    script = Path(__file__).with_name("older_client.py")
    env = {k: v for k, v in hub.client_env("alice").items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [hub_python(YEAR_AGO), str(script), f"alice/older-{next(_numbers)}", str(tmp_path)],
        env={**env, "HF_HOME": str(tmp_path / "home")},
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == YEAR_AGO
