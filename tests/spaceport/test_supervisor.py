"""One server or process that does not start takes nobody else along."""

from __future__ import annotations

import sys
from pathlib import Path

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
