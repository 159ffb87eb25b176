"""`manage.py backup` while visitors call, and `manage.py restore` in another place: files, secrets, volumes
and large files are there, every Space comes back, built again, and who waited in a queue is answered."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis
import requests
from huggingface_hub import Volume

from spaceport.up import embedded
from tests.platform_server import APPS, ROOT, Platform, lend_environments, lent_home, prepared_home
from tests.waiting import wait_until

PAGE = ROOT / "docs" / "howto" / "back-up-and-restore.md"
ENDS = {"BUILD_ERROR", "RUNTIME_ERROR", "CONFIG_ERROR", "NO_APP_FILE", "STOPPED"}
RUNS, SLEEPS, GATED = "alice/ran", "alice/slept", "alice/gated"
LARGE = os.urandom(2_500_000)  # above the limit of an ordinary file there
PAUSE_S = 0.2  # of a visitor between two calls
NOTE = "../kept/note"  # in the volume, as the app sees it


def commands(heading: str) -> list[str]:
    """The page's commands of `manage.py` below this heading."""
    _, _, rest = PAGE.read_text().partition(f"## {heading}\n")
    blocks = re.findall(r"```sh\n(.*?)```", rest.partition("\n## ")[0], re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if "manage.py" in line]


def run(line: str, env: dict[str, str], **places: Path) -> str:
    """What a command of the page prints, with these places in the place of the page's."""
    line = line.replace(".venv/bin/python manage.py", f"{sys.executable} {ROOT / 'manage.py'}")
    for name, path in places.items():
        there = {"backup": "/backups/2026-11-29", "key": "/safe/spaceport.key"}[name]
        assert there in line
        line = line.replace(there, str(path))
    done = subprocess.run(["bash", "-euc", line], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass
class Kept:
    """A backup, its key, and what a client has of the installation that was lost."""

    backup: Path
    key: Path
    token: str
    gate: Path
    waiting: list[str]  # addresses of the answers to two events, below the Space's


def call(platform: Platform, token: str, space: str, function: str, *inputs: str) -> str:
    """The address of the answer to an event, below the Space's; asked until it is taken."""
    url = f"{platform.run_url(space)}gradio_api/call/{function}"

    def event() -> str:
        answer = requests.post(url, json={"data": inputs}, headers=bearer(token), timeout=60)
        assert answer.status_code in (200, 502, 503), answer.text
        return f"{function}/{answer.json()['event_id']}" if answer.ok else ""

    return str(wait_until(event, f"{space} takes it", 150))


def answer(platform: Platform, token: str, space: str, event: str) -> str:
    url = f"{platform.run_url(space)}gradio_api/call/{event}"
    return requests.get(url, headers=bearer(token), timeout=150).text


def asked(platform: Platform, token: str, space: str, function: str, word: str) -> str:
    return answer(platform, token, space, call(platform, token, space, function, word))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def filled(platform: Platform, token: str) -> None:
    """Spaces that run, one that sleeps; a secret, a large file, a volume with a file in it."""
    api: Any = platform.api(token)
    for name, app in ((RUNS, "echo"), (SLEEPS, "echo"), (GATED, "gate")):
        assert platform.push(name, token, APPS / app) == "RUNNING"
    platform.put_to_sleep(SLEEPS, token)
    api.upload_file(path_or_fileobj=LARGE, path_in_repo="m/model.bin", repo_id=RUNS, repo_type="space")
    api.create_bucket("alice/store")
    api.set_space_volumes(RUNS, [Volume(type="bucket", source="alice/store", mount_path="/home/user/kept")])
    api.add_space_secret(RUNS, "WORD", "kept")
    wait_until(
        lambda: "written" in asked(platform, token, RUNS, "write", NOTE), "it runs with its volume", 60
    )


@pytest.fixture(scope="module")
def kept() -> Iterator[Kept]:
    """It is made while visitors call. Nothing else is left."""
    with prepared_home() as home, lent_home() as elsewhere:
        platform = Platform("process", home).start()
        try:
            token, gate = platform.token("alice"), elsewhere / "gate"
            filled(platform, token)
            waiting = [call(platform, token, GATED, "wait", str(gate), name) for name in ("first", "second")]
            wait_until(Path(f"{gate}.starts").exists, "the first one runs")
            [backs_up] = commands("Back up")
            with visitors(platform, token) as answers:
                found = Kept(elsewhere / "backup", elsewhere / "key", token, gate, waiting)
                said = run(backs_up, platform.env, backup=found.backup, key=found.key)
            assert "repositories.tar: " in said
            assert answers
            assert all("called" in one for one in answers)
        finally:
            platform.stop()
        assert found.key.read_text() not in _texts(found.backup)
        shutil.rmtree(home)
        yield found


class visitors:  # a context manager
    """Somebody calls a Space as long as the block lasts; the answers."""

    def __init__(self, platform: Platform, token: str) -> None:
        self._over, self._answers = threading.Event(), list[str]()
        self._thread = threading.Thread(target=self._call, args=(platform, token))

    def _call(self, platform: Platform, token: str) -> None:
        while not self._over.wait(PAUSE_S):
            self._answers.append(asked(platform, token, RUNS, "echo", "called"))

    def __enter__(self) -> list[str]:
        self._thread.start()
        return self._answers

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def _texts(folder: Path) -> str:
    return "".join(path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file())


def test_everything_comes_back_elsewhere_and_who_waited_is_answered(kept: Kept) -> None:
    [restores, *_] = commands("Restore")
    with lent_home() as elsewhere:
        platform = Platform("process", elsewhere / ".spaceport")
        run(restores, platform.env, backup=kept.backup, key=kept.key)
        lend_environments(platform.home)
        try:
            well(platform.start(), kept)
        finally:
            platform.stop()


def well(platform: Platform, kept: Kept) -> None:
    stages: dict[str, set[str]] = {name: set() for name in (RUNS, SLEEPS, GATED)}
    kept.gate.touch()
    pool = ThreadPoolExecutor()
    waited = [pool.submit(answer, platform, kept.token, GATED, event) for event in kept.waiting]
    new = [pool.submit(asked, platform, kept.token, name, "echo", "back") for name in (RUNS, SLEEPS)]

    def are_answered() -> bool:
        for name, seen in stages.items():
            seen.add(platform.stage(name, kept.token))
        return all(one.done() for one in (*waited, *new))

    try:
        wait_until(are_answered, "all are answered", 150)
    except AssertionError:
        print(stages, [one.done() for one in (*waited, *new)], platform.log()[-20_000:])
        raise
    finally:
        pool.shutdown(wait=False)  # who got no answer hears of the platform's end
    assert [one.result().count("done") for one in waited] == [1, 1]
    assert all("back" in one.result() for one in new)
    assert not set().union(*stages.values()) & ENDS
    assert len([*platform.home.glob("code/*/*/app.py")]) == len(stages), "they were built here"
    assert "kept" in asked(platform, kept.token, RUNS, "environment", "WORD")
    [note] = platform.home.glob("volumes/*/note")
    assert note.read_text() == "written"
    url = f"{platform.url}/spaces/{RUNS}/resolve/main/m/model.bin"
    large = requests.get(url, headers=bearer(kept.token), timeout=30).content
    assert hashlib.sha256(large).digest() == hashlib.sha256(LARGE).digest()


def test_servers_of_ones_own_get_it_by_their_addresses(kept: Kept) -> None:
    [_, by_address] = commands("Restore")
    with lent_home() as elsewhere:
        servers = embedded.postgres(elsewhere), embedded.valkey(elsewhere)
        names = {"DATABASE_URL": servers[0].start(), "REDIS_URL": servers[1].start()}
        platform = Platform("process", elsewhere / ".spaceport", settings=names)
        try:
            run(by_address, platform.env, backup=kept.backup, key=kept.key)
            with redis.Redis.from_url(names["REDIS_URL"]) as client:
                assert client.exists("spaceport:name:alice/slept")
                assert not [*client.scan_iter("sp:*:ev:*")], "the queue is left out there"
            connection = psycopg2.connect(names["DATABASE_URL"])
            with connection.cursor() as cursor:
                cursor.execute("select count(*) from hardware_replica where address <> ''")
                assert cursor.fetchone() == (0,)
                cursor.execute("select count(*) from spaces_secret")
                assert cursor.fetchone() == (1,)
            connection.close()
        finally:
            for server in reversed(servers):
                server.stop()
