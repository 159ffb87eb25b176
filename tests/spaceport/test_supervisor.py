"""One server or process that does not start takes nobody else along."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from spaceport.up import rotation
from spaceport.up import supervisor as supervisor_module
from spaceport.up.child import Child
from spaceport.up.supervisor import Server, Supervisor
from tests.waiting import wait_until


def test_a_server_that_will_not_start_is_tried_again_and_the_others_go_on(tmp_path: Path) -> None:
    tries: list[int] = []
    said: list[str] = []

    def start() -> str:
        tries.append(len(tries))
        if len(tries) == 1:
            raise OSError("not now")
        return "here"

    child = Child("app", [sys.executable, "-c", "input()"], tmp_path / "log")
    server = Server("PostgreSQL", lambda: 1 if len(tries) > 1 else None, start)
    supervisor = Supervisor([child], [server], said.append)

    def looked() -> bool:
        supervisor.check()
        return len(tries) > 1 and child.died() is not None

    supervisor.check()
    assert "PostgreSQL did not start (not now)" in said[-1]
    supervisor.check()
    assert len(tries) == 1, "not at once"
    child.start()
    try:
        wait_until(looked, "it was tried again, and the child, which ends at once, was seen")
    finally:
        child.kill()
    assert any(what.startswith("app ended") for what in said)


def test_logs_do_not_grow_for_ever_and_lose_nothing_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "LIMIT_BYTES", 100)
    monkeypatch.setattr(supervisor_module, "ROTATE_EVERY_S", 0)
    writes = "import sys\nfor line in sys.stdin: print(line.strip() * 30, flush=True)"
    log, servers = tmp_path / "log" / "web.log", tmp_path / "server.log"
    servers.write_text("x" * 200)
    child = Child("app", [sys.executable, "-c", "input()"], log)
    log.parent.mkdir()
    supervisor = Supervisor([child], [], lambda _: None, (servers,))
    child.expected = True
    with log.open("ab") as out:
        writer = subprocess.Popen(
            [sys.executable, "-c", writes], stdin=subprocess.PIPE, stdout=out, text=True
        )
    assert writer.stdin is not None
    for letters in ("first", "second", "third", "fourth", "fifth", "sixth"):
        print(letters, file=writer.stdin, flush=True)
        wait_until(lambda: letters in log.read_text(), "it is written")  # noqa: B023
        supervisor.check()
        assert log.read_text() == ""
    writer.stdin.close()
    writer.wait(10)
    kept = {path.name: path.read_text()[:5] for path in log.parent.iterdir()}
    assert kept == {"web.log": "", "web.log.1": "sixth", "web.log.2": "fifth", "web.log.3": "fourt"}
    assert servers.read_text() == ""


def test_the_scheduler_needs_no_app_of_the_platforms() -> None:
    code = (
        "import sys\n"
        "from spaceport.up import scheduler\n"
        "assert scheduler.app.conf.beat_schedule\n"
        "scheduler.app.finalize()\n"
        "print([name for name in sys.modules if name.endswith('.models') or name == 'django.db.models'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


def test_what_runs_none_of_our_code_stays_through_a_renewal(tmp_path: Path) -> None:
    waits = [sys.executable, "-c", "import time; time.sleep(60)"]
    proxy = Child("proxy", waits, tmp_path / "log", stays=True)
    worker = Child("worker", waits, tmp_path / "log")
    supervisor = Supervisor([proxy, worker], [], lambda _: None)
    supervisor.start()
    before = proxy.process, worker.process
    try:
        assert supervisor.renew()
        assert proxy.process is before[0]
        assert proxy.died() is None
        assert worker.process is not before[1]
    finally:
        supervisor.stop()
