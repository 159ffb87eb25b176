"""Gradio's own JavaScript client under Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable

import pytest

from tests.compat.conftest import HERE, node_modules
from tests.platform_server import Platform


@pytest.mark.timeout(600)
def test_gradios_javascript_client_finds_everything(
    process_platform: Platform, aged: Callable[[str], str]
) -> None:
    url = process_platform.run_url(aged("6.31.0"))
    folder = node_modules()
    shutil.copy(HERE / "js" / "journey.mjs", folder)
    done = subprocess.run(
        ["node", "journey.mjs", url], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "plain": "hello Ada",
        "generator": "xxxx",
        "state": 2,
        "error": "error: no such thing as unicorns",
        "upload": 30000,
        "position": ["s1", "s2", "s3"],
        "unqueued": "hello Bob",
    }
