"""A node's worker that starts while PostgreSQL is away looks after its replicas as soon as it is back."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.db import OperationalError

from hardware import nodes, worker
from hardware.models import Node
from infra import startup
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hardware.runtimes.process import ProcessRuntime

REGISTER = nodes.register


@pytest.fixture
def asked(
    transactional_db: None, runtime: ProcessRuntime, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """A node's worker whose database refuses the first three times; what it was asked for."""
    asked: list[str] = []

    def register(name: str, *others: Any) -> Node:
        asked.append(name)
        if len(asked) <= 3:
            raise OperationalError("connection refused")
        return REGISTER(name, *others)

    monkeypatch.setattr(nodes, "register", register)
    monkeypatch.setattr(startup, "RETRY_DELAY_S", 0.01)
    monkeypatch.setattr(worker, "choose", lambda _: runtime)
    monkeypatch.setenv(worker.TIERS_VARIABLE, json.dumps({"cpu": False}))
    yield asked
    worker.node_worker.end()


def test_its_agent_begins_when_postgresql_answers(asked: list[str]) -> None:
    worker.node_worker.begin()
    wait_until(lambda: worker.node_worker.agent, "the agent works")
    assert len(asked) == 4
    assert Node.objects.filter(name=asked[0]).exists()


def test_one_that_is_told_to_end_meanwhile_begins_nothing(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup, "RETRY_DELAY_S", 0.2)
    worker.node_worker.begin()
    wait_until(lambda: asked, "it tries")
    worker.node_worker.end()
    tried = len(asked)
    wait_until(lambda: not any(t.name == "agent" for t in threading.enumerate()), "it gave up")
    assert worker.node_worker.agent is None
    assert len(asked) <= tried + 1
