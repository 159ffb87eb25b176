"""The clients that the documents show work as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.platform_server import Platform

ROOT = Path(__file__).resolve().parents[2]
SPACE = "alice/documented"
ADDRESS, EXAMPLE = "127.0.0.1:8000", "examples/hello"


@pytest.fixture(scope="module")
def place(process_platform: Platform) -> Platform:
    token = process_platform.token("alice")
    assert process_platform.push(SPACE, token, ROOT / "examples" / "hello") == "RUNNING"
    return process_platform


def block(page: str, language: str, word: str, place: Platform) -> str:
    """The first code block of this language with this word, made for this platform and Space."""
    text = (ROOT / "docs" / page).read_text()
    found = next(code for code in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL) if word in code)
    assert ADDRESS in found
    return str(found.replace(ADDRESS, f"127.0.0.1:{place.port}").replace(EXAMPLE, SPACE))


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_websocket_client_prints_the_result(place: Platform) -> None:
    code = block("howto/write-a-websocket-client.md", "python", "ws_connect", place)
    assert "Ada, so glad you are here!" in run(sys.executable, "-c", code)


def test_the_curl_commands_print_the_result(place: Platform) -> None:
    code = block("reference/api.md", "sh", "curl -N", place)
    assert "Ada, so glad you are here!" in run("bash", "-c", code)
