"""Fixtures: `space` (a row), `runtime` (process), `agent` (of node "here"), `build` (an artifact by app)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accounts.models import Owner
from hardware.agent import Agent
from hardware.runtimes.base import BuildSpec
from hardware.runtimes.process import ProcessRuntime
from spaces.models import Space
from tests.platform_server import lend_environments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hardware.runtimes.base import Artifact

APPS = Path(__file__).parent.parent / "apps"


@pytest.fixture
def space(transactional_db: None) -> Space:
    owner = Owner.objects.create(name="alice")
    return Space.objects.create(owner=owner, name="demo", subdomain="alice-demo")


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("hardware")
    lend_environments(made)
    yield made
    ProcessRuntime(made).dispose()


@pytest.fixture
def runtime(home: Path) -> Iterator[ProcessRuntime]:
    """Its standby process is the next one's too."""
    made = ProcessRuntime(home, standby=1)
    yield made
    for running in made.running().values():
        made.stop(running.runtime_id, grace_s=2)
    shutil.rmtree(home / "replicas", ignore_errors=True)


@pytest.fixture
def build(runtime: ProcessRuntime) -> Callable[[str], Artifact]:
    def made(app: str) -> Artifact:
        spec = BuildSpec(
            space="alice/demo", space_id=1, sha=app.ljust(40, "0"), sdk="gradio", source=APPS / app
        )
        return runtime.build(spec, lambda _line: None)

    return made


@pytest.fixture
def agent(space: Space, runtime: ProcessRuntime) -> Iterator[Agent]:
    made = Agent("here", {"cpu": False, "t4": True}, runtime)
    made.start()
    yield made
    made.stop()
