"""Installs of the process runtime end with the worker that began them, and share what they compile."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from hardware.runtimes import venvs
from hardware.runtimes.base import BuildFailed, Log
from hardware.runtimes.dependencies import Dependencies
from tests.platform_server import CACHE, ROOT
from tests.waiting import wait_until

SLEEPS = "8.642"
WORKER = f"""
import threading
from pathlib import Path
from hardware.runtimes import venvs
threading.Thread(target=venvs.run, args=(["/bin/sleep", "{SLEEPS}"], Path("/"), 60, print)).start()
"""


def installs() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().endswith(f"sleep\0{SLEEPS}\0".encode()):
                found.append(path.parent.name)
    return found


def test_an_install_ends_with_its_killed_worker() -> None:
    worker = subprocess.Popen([sys.executable, "-c", WORKER], cwd=ROOT)
    wait_until(installs, "it installs")
    worker.kill()
    worker.wait()
    wait_until(lambda: not installs(), "nothing is left of it", 5)


def test_an_install_says_how_it_ended(tmp_path: Path) -> None:
    said: list[str] = []
    venvs.run(["/bin/echo", "one", "two"], tmp_path, 10, said.append)
    assert said == ["one two"]
    with pytest.raises(BuildFailed):
        venvs.run(["/bin/false"], tmp_path, 10, said.append)


def environment(root: Path, requirements: str) -> Path:
    """The environment with these requirements alone."""
    (root / "requirements.txt").write_text(requirements)
    wanted = Dependencies(
        python_version="", gradio="", overrides=False, constraints=(), pre_requirements="",
        requirements=requirements, packages=(), code="", beside=(),
    )  # fmt: skip
    return venvs.ensure(root, wanted, root, 120, lambda _line: None)


@pytest.mark.parametrize("after", ["it was begun", "the install", "the last step"])
def test_an_environment_that_is_removed_while_it_is_made_is_made_again(
    after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, steps = venvs.run, ["it was begun", "the install", "the last step"]

    def removed(command: list[str], cwd: Path, timeout_s: float, log: Log) -> None:
        run(command, cwd, timeout_s, log)
        if steps and steps.pop(0) == after:
            steps.clear()
            [folder] = cwd.glob("py*/")
            shutil.rmtree(folder)
            (folder / "lib").mkdir(parents=True)  # a program that still runs writes its bytecode

    monkeypatch.setattr(venvs, "run", removed)
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as root:
        made = environment(Path(root), "iniconfig==2.1.0\n")
        assert bytecode(made, "iniconfig")
        assert venvs.is_whole(made)
        shutil.rmtree(made / "bin")
        assert not venvs.is_whole(made)


def test_a_failed_install_is_not_tried_twice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run, tried = venvs.run, []

    def counted(command: list[str], cwd: Path, timeout_s: float, log: Log) -> None:
        tried.append(command)
        run(command, cwd, timeout_s, log)

    monkeypatch.setattr(venvs, "run", counted)
    with pytest.raises(BuildFailed, match="could not be installed"):
        environment(tmp_path, "./nowhere\n")
    assert len(tried) == 2  # the folder, the install


def bytecode(environment: Path, package: str) -> set[Path]:
    return set(environment.glob(f"lib/python*/site-packages/{package}/**/*.pyc"))


def test_bytecode_is_made_once_for_all_environments() -> None:
    CACHE.mkdir(parents=True, exist_ok=True)  # on the disk of uv's own cache
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        first = environment(Path(folder), "iniconfig==2.1.0\n")
        second = environment(Path(folder), "iniconfig==2.1.0\npluggy==1.6.0\n")
        assert len(bytecode(first, "iniconfig")) == len([*first.glob("lib/**/iniconfig/*.py")]) > 1
        assert bytecode(second, "pluggy")
        for path in bytecode(first, "iniconfig"):
            assert (second / path.relative_to(first)).samefile(path)
