"""Commands without their servers: a sentence, and nothing made by accident."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardware.trust.membership import Files, Membership
from spaceport.up.embedded import EmbeddedServerFailed, Postgres
from tests.platform_server import ROOT, free_port, new_home
from tests.waiting import wait_until


def manage(home: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("SPACEPORT_", "DATABASE_", "REDIS_"))}
    env = {**ours, "SPACEPORT_HOME": str(home), **settings}
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("command", [("token", "ada"), ("migrate",), ("node",), ("shell", "-c", "1")])
def test_a_data_folder_that_is_not_there_is_named_and_not_made(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    home = tmp_path / "mistyped"
    answer = manage(home, *command)
    assert answer.returncode == 1
    assert f"There is no installation in {home}." in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not home.exists()


def test_help_needs_no_installation(tmp_path: Path) -> None:
    home = tmp_path / "none"
    assert "--read" in manage(home, "token", "--help").stdout
    assert not (home / "postgres").exists()


def test_a_platforms_folder_is_no_nodes_and_a_nodes_no_platforms(tmp_path: Path) -> None:
    platform, node = tmp_path / "platform", tmp_path / "node"
    (platform / "postgres").mkdir(parents=True)
    refused = manage(platform, "node", "join", "http://127.0.0.1:1", "join_x")
    assert refused.returncode == 1
    assert f"{platform} is the data folder of a platform." in refused.stderr
    membership = Membership(
        platform="http://p", node="n", label="n1", address="10.0.0.7:8443", credential="c", settings={}
    )
    Files(node).write(membership, key="", certificate="", authority="")
    refused = manage(node, "up")
    assert refused.returncode == 1
    assert "Run `manage.py node` here" in refused.stderr
    assert not (node / "postgres").exists()


def test_an_empty_database_is_said(tmp_path: Path) -> None:
    empty = re.sub(r"/\w+\?", "/postgres?", os.environ["DATABASE_URL"])
    answer = manage(tmp_path, "token", "ada", DATABASE_URL=empty, REDIS_URL=os.environ["REDIS_URL"])
    assert answer.returncode == 1
    assert "`manage.py migrate` mends that" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_database_that_is_away_is_said(tmp_path: Path) -> None:
    away = f"postgresql://nobody@127.0.0.1:{free_port()}/spaceport"
    answer = manage(tmp_path, "token", "ada", DATABASE_URL=away, REDIS_URL=os.environ["REDIS_URL"])
    assert answer.returncode == 1
    assert "PostgreSQL cannot be used" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.fixture
def server() -> Iterator[Postgres]:
    home = new_home()
    server = Postgres(home / "postgres")
    server.start()
    yield server
    if (pid := server.pid()) is not None:
        os.kill(pid, signal.SIGQUIT)
        wait_until(lambda: server.pid() is None, "it has ended")
    shutil.rmtree(home)


def test_a_recovering_postgresql_is_waited_for_and_said(
    server: Postgres, capfd: pytest.CaptureFixture[str]
) -> None:
    """As its own file says it: `starting` until it has recovered."""
    note = server.folder / "postmaster.pid"
    well = note.read_text()
    note.write_text(well.replace("ready", "starting"))
    urls: list[str] = []
    joins = threading.Thread(target=lambda: urls.append(Postgres(server.folder).start()), daemon=True)
    joins.start()
    said: list[str] = []

    def is_said(text: str) -> bool:
        said.append(capfd.readouterr().err)
        return text in "".join(said)

    wait_until(lambda: is_said("PostgreSQL recovers from a crash"), "it is said")
    assert urls == []
    note.write_text(well)
    joins.join(30)
    assert urls
    assert is_said("PostgreSQL has recovered.")


def test_after_a_reboot_the_noted_number_may_be_another_processs(server: Postgres) -> None:
    pid, note = server.pid(), server.folder / "postmaster.pid"
    assert pid is not None
    before = note.read_text()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: server.pid() is None, "it is dead")
    note.write_text(before.replace(str(pid), str(os.getpid()), 1))
    assert server.pid() is None
    server.stop()  # nothing to stop, and nothing is started for that
    assert server.pid() is None
    assert Postgres(server.folder).start()
    assert server.pid() not in (None, os.getpid())


def test_one_that_was_killed_starts_and_one_that_cannot_is_said_with_its_log(server: Postgres) -> None:
    pid = server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: server.pid() is None, "it is dead")
    assert Postgres(server.folder).start()
    server.stop()
    with (server.folder / "postgresql.auto.conf").open("a") as conf:
        conf.write("max_connections = many\n")
    with pytest.raises(EmbeddedServerFailed, match="max_connections"):
        Postgres(server.folder).start()
