"""A Space whose image or environment is gone (a restore, a prune) is built again while its visitors wait."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from gradio_client import Client

from accounts.models import Owner
from hardware.models import Replica
from hardware.runtimes.base import Artifact
from spaces import lifecycle, publishing
from spaces.card import SpaceCard
from spaces.models import Build, Space, Stage
from tests.platform_server import APPS, Platform
from tests.waiting import wait_until

pytestmark = pytest.mark.long

OLD, NEW = "a" * 40, "b" * 40
ARTIFACT = {"runtime": "docker", "image": "gone"}


@pytest.fixture
def space(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Space]:
    """It runs from an older commit: the head's build failed."""
    monkeypatch.setattr(lifecycle, "read_card", lambda *_: SpaceCard(app_file="app.py"))
    space = Space.objects.create(
        owner=Owner.objects.create(name="alice"), name="demo", subdomain="alice-demo", sha=NEW,
        stage=Stage.APP_STARTING,
    )  # fmt: skip
    space.builds.create(sha=OLD, status=Build.Status.SUCCEEDED, artifact=ARTIFACT)
    space.builds.create(sha=NEW, status=Build.Status.FAILED)
    yield space
    publishing.withdraw(space)


def misses(space: Space) -> Replica:
    """A replica of its last good build, whose node does not find what it should run."""
    build = space.builds.filter(status=Build.Status.SUCCEEDED).latest("pk")
    return Replica.objects.create(
        space=space, tier="cpu", spec={}, build_id=build.pk, state=Replica.State.FAILED,
        cause=Replica.MISSING, reason="It is not on this node any more.",
    )  # fmt: skip


def heard(space: Space, replica: Replica) -> Space:
    lifecycle.replica_changed(replica.pk)
    space.refresh_from_db()
    return space


def test_the_commit_that_ran_is_built_and_rolled_out_again(space: Space) -> None:
    replica = misses(space)
    assert heard(space, replica).stage == Stage.BUILDING
    row = space.builds.latest("pk")
    assert (row.sha, row.status, row.restores) == (OLD, Build.Status.QUEUED, True)
    route = publishing.published(space.pk)
    assert route is not None
    assert route.stage == Stage.BUILDING  # it takes events: nobody is sent away
    lifecycle.built(row, Artifact.from_json(ARTIFACT))
    assert space.replicas.filter(wanted=True, build_id=row.pk).count() == 1


def test_news_that_come_twice_order_one_build(space: Space) -> None:
    replica = misses(space)
    for _ in range(3):
        heard(space, replica)
    assert space.builds.filter(restores=True).count() == 1


def test_a_push_that_is_being_built_is_enough(space: Space) -> None:
    space.builds.create(sha=NEW)
    assert heard(space, misses(space)).stage == Stage.BUILDING
    assert not space.builds.filter(restores=True).exists()


def test_a_node_that_never_gets_what_builds_make_is_an_error_in_the_end(space: Space) -> None:
    heard(space, misses(space))
    again = space.builds.filter(restores=True)
    again.update(status=Build.Status.SUCCEEDED, artifact=ARTIFACT, finished_at=timezone.now())
    assert heard(space, misses(space)).stage == Stage.RUNTIME_ERROR
    assert not again.filter(status=Build.Status.QUEUED).exists()


def test_one_that_is_gone_again_later_is_built_again(space: Space) -> None:
    heard(space, misses(space))
    space.builds.filter(restores=True).update(
        status=Build.Status.SUCCEEDED, artifact=ARTIFACT, finished_at=timezone.now() - timedelta(hours=1)
    )
    assert heard(space, misses(space)).stage == Stage.BUILDING


def test_one_that_ran_and_is_gone_again_soon_is_built_again(space: Space) -> None:
    heard(space, misses(space))
    again = space.builds.filter(restores=True)
    again.update(status=Build.Status.SUCCEEDED, artifact=ARTIFACT, finished_at=timezone.now())
    ran = {"state": Replica.State.STOPPED, "wanted": False, "ready_at": timezone.now()}
    Replica.objects.create(space=space, tier="cpu", spec={}, build_id=again.get().pk, **ran)
    assert heard(space, misses(space)).stage == Stage.BUILDING
    assert again.filter(status=Build.Status.QUEUED).count() == 1


def test_a_restore_that_fails_says_why(space: Space) -> None:
    heard(space, misses(space))
    row = space.builds.latest("pk")
    row.status, row.reason = Build.Status.FAILED, "The package index is away."
    row.save()
    lifecycle.build_failed(row)
    space.refresh_from_db()
    assert (space.stage, space.stage_reason) == (Stage.BUILD_ERROR, "The package index is away.")


def codes(platform: Platform) -> set[Path]:
    """The folders of what was built."""
    return {path for path in (platform.home / "code").glob("*/*") if (path / "app.py").exists()}


def test_visitors_of_a_space_whose_code_is_gone_are_answered(process_platform: Platform) -> None:
    token = process_platform.token("alice")
    name = "alice/pruned"
    before = codes(process_platform)
    assert process_platform.push(name, token, APPS / "echo") == "RUNNING"
    client = Client(process_platform.run_url(name), verbose=False)
    [code] = codes(process_platform) - before
    api: Any = process_platform.api(token)
    shutil.rmtree(code)
    api.restart_space(name)
    waits = client.submit("still here", api_name="/echo")
    wait_until(code.exists, "it is built again")
    assert "still here" in str(waits.result(60))
