"""A build that failed says what to do. What uv says of requirements is asked of uv itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hardware.runtimes import venvs
from hardware.runtimes.base import BuildFailed
from spaces.building.explanations import explain


@pytest.mark.parametrize(
    ("requirements", "sentence"),
    [
        ("numpyy", "There is no package numpyy. Did you mean numpy?"),
        (
            "zzz-no-such-thing-1",
            "There is no package zzz-no-such-thing-1. Correct its name",
        ),
        ("gradio==99.1", "gradio has no release ==99.1. Name one that there is, or none for the newest."),
        ("tensorflow==1.15", "This release of tensorflow was not made for the Space's Python or machine."),
        ("gradio==6.31.0\nhuggingface_hub<0.20", "Some requirements contradict each other"),
        ("what is this", "A line of requirements.txt is no requirement; each is like `name==1.2`."),
        ("sklearn", "Write scikit-learn in requirements.txt, not sklearn."),
    ],
)
def test_requirements_that_cannot_be_installed(requirements: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(requirements)
    lines: list[str] = []
    command = [
        sys.executable, "-m", "uv", "pip", "install", "--dry-run", "--python", sys.executable, "--target",
        str(tmp_path / "target"), "-r", "requirements.txt",
    ]  # fmt: skip
    with pytest.raises(BuildFailed):
        venvs.run(command, tmp_path, 100, lines.append)
    assert explain(lines).startswith(sentence), lines


def test_a_release_for_another_python(tmp_path: Path) -> None:
    lines: list[str] = []
    wanted = "3.20"
    (tmp_path / "pyproject.toml").write_text(
        f'[project]\nname = "newer"\nversion = "1"\nrequires-python = ">={wanted}"\n'
    )
    (tmp_path / "requirements.txt").write_text("newer @ file://" + str(tmp_path))
    command = [sys.executable, "-m", "uv", "pip", "compile", "--python", sys.executable, "requirements.txt"]
    with pytest.raises(BuildFailed):
        venvs.run(command, tmp_path, 100, lines.append)
    assert explain(lines).startswith(f"newer needs Python >={wanted}, and this Space has 3."), lines


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory",
            "A package has no wheel here",
        ),
        ("CMake Error: No CMAKE_CXX_COMPILER could be found.", "A package has no wheel here"),
        ("src/x.c:1:10: fatal error: Python.h: No such file or directory", "A package has no wheel here"),
        (
            "x.c:3:10: fatal error: libpq-fe.h: No such file or directory",
            "A package is compiled and lacks libpq-fe.h.",
        ),
        ("E: Unable to locate package libgll", "Debian has no package libgll. Correct packages.txt."),
        ("E: Package 'x1' has no installation candidate", "Debian has no package x1."),
        ("OSError: [Errno 28] No space left on device", "The build ran out of disk."),
        ("process exited with signal: 9 (SIGKILL)", "The build ran out of memory."),
        (
            "fatal: no access: Could not resolve host: github.com",
            "The build cannot reach github.com.",
        ),
        ("all is well", ""),
    ],
)
def test_what_compilers_apt_and_the_machine_say(line: str, sentence: str) -> None:
    found = explain(["Collecting x", line, "Build failed"])
    assert found.startswith(sentence)
    assert bool(found) == bool(sentence)


def test_a_hostile_log_takes_no_time() -> None:
    code = (
        "from spaces.building.explanations import explain;"
        "explain(['Because ' + 'a' * 10**6, 'fatal error: ' + '/' * 10**6, '`' + 'a.' * 10**6] * 60)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
