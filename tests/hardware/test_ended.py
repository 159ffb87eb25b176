"""A platform that starts again sends nobody to where an app was when it stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.conf import settings
from django.utils import timezone

from hardware.models import Node, Replica
from hardware.runtimes.base import Running
from queueing.routes import Route
from spaceport.up import bootstrap
from spaces import publishing
from spaces.models import Sdk, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hardware.runtimes.process import ProcessRuntime
    from spaces.models import Space

THERE, ADDRESS = "9-1-1", "127.0.0.1:9"


@pytest.fixture
def serves(
    space: Space, runtime: ProcessRuntime, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, str], Replica]]:
    """Makes a replica that serves the Space, on a node. Of the runtime's ids only `THERE` runs."""
    running = {9: Running(runtime_id=THERE, address=ADDRESS)}
    monkeypatch.setattr(runtime, "running", lambda: running)
    monkeypatch.setattr(bootstrap, "choose", lambda _: runtime)

    def made(node: str, runtime_id: str) -> Replica:
        there = Node.objects.create(
            name=node, tiers={"cpu": {}}, runtime="process", heartbeat_at=timezone.now()
        )
        space.replica = Replica.objects.create(
            space=space, tier="cpu", spec={}, node=there, state=Replica.State.READY, address=ADDRESS,
            runtime_id=runtime_id,
        )  # fmt: skip
        space.stage, space.sdk = Stage.RUNNING, Sdk.STATIC  # it need not say what it offers
        space.save()
        assert publishing.publish(space).address == ADDRESS
        return space.replica

    yield made
    publishing.withdraw(space)


def route(space: Space) -> Route:
    found = publishing.published(space.pk)
    assert found is not None
    return found


def test_what_ended_with_the_platform_is_waited_for(
    space: Space, serves: Callable[[str, str], Replica]
) -> None:
    row = serves(settings.SPACEPORT_NODE, "8-1-1")
    bootstrap.withdraw_ended()
    assert (route(space).address, route(space).stage, route(space).awaits) == ("", Stage.RUNNING, "")
    row.refresh_from_db()
    assert (row.state, row.address) == (Replica.State.STARTING, "")


@pytest.mark.parametrize(("node", "runtime_id"), [(settings.SPACEPORT_NODE, THERE), ("another", "8-1-1")])
def test_what_still_runs_and_what_runs_elsewhere_stays(
    space: Space, serves: Callable[[str, str], Replica], node: str, runtime_id: str
) -> None:
    row = serves(node, runtime_id)
    bootstrap.withdraw_ended()
    assert route(space).address == ADDRESS
    row.refresh_from_db()
    assert (row.state, row.address) == (Replica.State.READY, ADDRESS)
