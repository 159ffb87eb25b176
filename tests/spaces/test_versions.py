"""Going back to an earlier version: at once where it still runs, else by a start, else by a build."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Owner
from hardware import nodes, replicas
from hardware.models import Replica
from hardware.runtimes.base import Artifact
from infra.redis_clients import sync_redis
from queueing.routes import App
from queueing.store.keys import SpaceKeys
from spaces import following, housekeeping, lifecycle, publishing
from spaces.building import leases, versions
from spaces.card import SpaceCard
from spaces.git import repository
from spaces.models import Build, LargeFile, Sdk, Space, Stage
from tests.people import People
from tests.spaces.pages import as_, folks, space_of, text_of

__all__ = ["folks"]
pytestmark = pytest.mark.django_db(transaction=True)

OLD, NEW = "a" * 40, "b" * 40


@pytest.fixture
def space(folks: People, monkeypatch: pytest.MonkeyPatch) -> Iterator[Space]:
    """Its new version has just taken over from the old one."""
    monkeypatch.setattr(lifecycle, "read_card", lambda *_: SpaceCard(app_file="app.py"))
    monkeypatch.setattr(publishing, "_app_of", lambda *_: App())
    nodes.register("here", {"cpu": False, "t4": False}, "process")
    space = space_of(folks)
    space.sdk = Sdk.DOCKER
    for sha in (OLD, NEW):
        space.sha = sha
        space.save()
        roll_out(space, sha)
        serve(space)
    yield space
    publishing.withdraw(space)


def roll_out(space: Space, sha: str) -> Replica:
    artifact = Artifact(runtime="process", code=sha)
    row = space.builds.create(sha=sha, status=Build.Status.SUCCEEDED, artifact=artifact.to_json())
    return lifecycle.roll_out(space, row, artifact)


def serve(space: Space) -> Replica:
    """The replica that was ordered is ready."""
    row = replicas.candidate(space.pk)
    assert row is not None
    Replica.objects.filter(pk=row.pk).update(state=Replica.State.READY, ready_at=timezone.now())
    lifecycle.replica_changed(row.pk)
    space.refresh_from_db()
    return row


def later(space: Space, seconds: float) -> None:
    """So much time goes by since one replica was set aside; then replaced ones are retired."""
    for row in space.replicas.filter(set_aside_at__isnull=False):
        moved = row.set_aside_at - timedelta(seconds=seconds) if row.set_aside_at else None
        Replica.objects.filter(pk=row.pk).update(set_aside_at=moved)
    versions.retire_replaced(Space.objects.select_related("replica").get(pk=space.pk))


def runs(space: Space) -> list[str]:
    """The versions that run, the serving one first."""
    space.refresh_from_db()
    rows = space.replicas.filter(wanted=True).order_by("-pk")
    shas = dict(space.builds.values_list("pk", "sha"))
    return [shas[row.build_id or 0] for row in sorted(rows, key=lambda row: row.pk != space.replica_id)]


def test_the_version_before_runs_on_for_a_while(space: Space) -> None:
    later(space, 60)
    assert runs(space) == [NEW, OLD]
    later(space, 600)
    assert runs(space) == [NEW]


def test_the_version_before_ends_early_where_others_wait_for_room(folks: People, space: Space) -> None:
    later(space, 60)
    assert runs(space) == [NEW, OLD]
    waits = {"place": 1, "of": 1, "lacks": "cores"}
    Replica.objects.create(space=space_of(folks, "late"), tier="cpu", spec={}, waits=waits)
    later(space, 1)
    assert runs(space) == [NEW]


def test_a_version_that_runs_takes_over_at_once(space: Space) -> None:
    before = space.replica_id
    versions.roll_back(space, OLD)
    assert runs(space) == [OLD, NEW]
    assert (space.stage, space.rolled_back_to) == (Stage.RUNNING, OLD)
    route = publishing.published(space.pk)
    assert route is not None
    assert route.replica_id == space.replica_id != before
    later(space, 60)
    versions.roll_back(space, NEW)
    assert runs(space) == [NEW, OLD]
    assert (space.replica_id, space.rolled_back_to) == (before, "")


def test_news_of_the_newer_one_change_nothing(space: Space) -> None:
    newer = space.replica_id or 0
    versions.roll_back(space, OLD)
    lifecycle.replica_changed(newer)
    Replica.objects.filter(pk=newer).update(state=Replica.State.FAILED)
    lifecycle.replica_changed(newer)
    assert runs(space)[0] == OLD
    assert space.stage == Stage.RUNNING


def test_calls_in_the_one_that_is_left_end_first(space: Space) -> None:
    left = space.replica_id
    versions.roll_back(space, OLD)
    sync_redis().set(SpaceKeys(space.pk).lease(left or 0), f"{left}:dispatcher")
    later(space, 700)
    assert runs(space) == [OLD, NEW]
    sync_redis().delete(SpaceKeys(space.pk).lease(left or 0))
    later(space, 1)
    assert runs(space) == [OLD]


def test_one_that_does_not_run_is_started_and_one_that_is_not_kept_is_built(space: Space) -> None:
    later(space, 700)
    versions.roll_back(space, OLD)
    assert runs(space) == [NEW, OLD]
    assert space.stage == Stage.RUNNING_APP_STARTING
    serve(space)
    assert runs(space)[0] == OLD
    space.builds.filter(sha=NEW).update(artifact=None)
    later(space, 700)
    versions.roll_back(space, NEW)
    space.refresh_from_db()
    row = space.builds.latest("pk")
    assert (row.sha, row.restores, space.stage) == (NEW, True, Stage.RUNNING_BUILDING)
    assert runs(space) == [OLD]


def test_a_changed_environment_is_not_gone_back_from(space: Space) -> None:
    space.variables.create(key="COLOR", value="red")
    versions.roll_back(space, OLD)
    assert space.replicas.filter(wanted=True, state=Replica.State.PENDING).count() == 1
    assert runs(space)[0] == NEW


def test_a_restart_keeps_the_version_and_a_push_ends_it(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions.roll_back(space, OLD)
    lifecycle.restart(space)
    assert serve(space).build_id == space.builds.get(sha=OLD).pk
    monkeypatch.setattr(repository, "head", lambda _: "c" * 40)
    monkeypatch.setattr(repository, "exists", lambda *_: True)
    lifecycle.pushed(space)
    space.refresh_from_db()
    assert space.rolled_back_to == ""
    assert space.builds.latest("pk").sha == "c" * 40


def test_a_build_that_was_under_way_is_not_rolled_out_over_it(space: Space) -> None:
    Space.objects.filter(pk=space.pk).update(sha="c" * 40, stage=Stage.RUNNING_BUILDING)
    row = space.builds.create(sha="c" * 40, status=Build.Status.RUNNING)
    versions.roll_back(space, OLD)
    Build.objects.filter(pk=row.pk).update(status=Build.Status.SUCCEEDED)
    lifecycle.built(row, Artifact(runtime="process", code="c"))
    assert runs(space) == [OLD, NEW]
    assert space.stage == Stage.RUNNING


def test_a_paused_space_starts_with_it(space: Space) -> None:
    lifecycle.pause(space)
    versions.roll_back(space, OLD)
    space.refresh_from_db()
    assert space.stage == Stage.PAUSED
    lifecycle.restart(space)
    assert serve(space).build_id == space.builds.get(sha=OLD).pk


def test_its_artifact_is_kept(space: Space) -> None:
    versions.roll_back(space, OLD)
    lifecycle.pause(space)
    for number in range(5):
        artifact = Artifact(runtime="process", code=str(number)).to_json()
        space.builds.create(sha=str(number) * 40, status=Build.Status.SUCCEEDED, artifact=artifact)
    space.refresh_from_db()
    housekeeping.forget_old_artifacts(space)
    assert space.builds.get(sha=OLD).artifact is not None
    assert space.builds.get(sha=NEW).artifact is None


@pytest.mark.parametrize("sha", [NEW[:7], "", "c" * 40])
def test_what_was_never_built_is_refused(space: Space, sha: str) -> None:
    with pytest.raises(versions.CannotRollBack, match="never built"):
        versions.roll_back(space, sha)


def test_a_device_is_not_held_for_it(space: Space) -> None:
    Space.objects.filter(pk=space.pk).update(hardware="t4")
    space.refresh_from_db()
    for sha in ("c" * 40, "d" * 40):
        roll_out(space, sha)
        serve(space)
    later(space, 60)
    assert runs(space) == ["d" * 40]


def test_one_build_of_a_space_at_a_time_and_owners_in_turn(space: Space, folks: People) -> None:
    first, second = (space.builds.create(sha=sha * 40) for sha in "cd")
    other = Space.objects.create(owner=Owner.objects.get(name="alice"), name="other", subdomain="other")
    others = other.builds.create(sha="e" * 40)
    assert [row and row.pk for row in (leases.claim("w"), leases.claim("w"), leases.claim("w"))] == [
        first.pk, others.pk, None,
    ]  # fmt: skip
    assert leases.cancel(space.pk, first.pk)
    assert (row := leases.claim("w")) is not None
    assert row.pk == second.pk


def test_the_tab_shows_builds_goes_back_and_cancels(space: Space, folks: People) -> None:
    assert Client().get("/lab/demo/versions").status_code == 404
    member = as_(folks.bob)
    page = text_of(member.get("/lab/demo/versions"))
    assert f"Go back to {OLD[:7]}" in page
    assert f"Go back to {NEW[:7]}" not in page
    member.post("/lab/demo/versions/roll-back", {"sha": OLD})
    assert runs(space) == [OLD, NEW]
    assert f"<code>{OLD[:7]}</code> runs" in text_of(member.get("/lab/demo/settings"))
    row = space.builds.create(sha="c" * 40, log="a line")
    assert "a line" in text_of(member.get(f"/lab/demo/versions/{row.pk}"))
    assert b"a line" in member.get(f"/lab/demo/versions/{row.pk}/log").content
    member.post(f"/lab/demo/versions/{row.pk}/cancel")
    row.refresh_from_db()
    assert row.status == Build.Status.CANCELLED
    assert Client().post("/lab/demo/versions/roll-back", {"sha": NEW}).status_code == 404
    assert runs(space) == [OLD, NEW]


def test_the_tab_says_what_the_space_takes_on_disk(space: Space, folks: People) -> None:
    for build, size in zip(space.builds.order_by("pk"), (3_000_000, 5_000_000), strict=True):
        build.artifact = {**(build.artifact or {}), "size_bytes": size}
        build.save()
    LargeFile.objects.create(space=space, oid="a" * 64, size_bytes=2_000_000_000)
    page = " ".join(text_of(as_(folks.alice).get(f"/{space}/versions")).replace("\xa0", " ").split())
    assert "large files 1.9 GB, kept builds 7.6 MB." in page
    assert "On disk: repository " in page


def test_a_version_that_failed_is_no_news_while_the_next_one_is_built(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = roll_out(space, "c" * 40)
    Replica.objects.filter(pk=broken.pk).update(state=Replica.State.FAILED, reason="a bug")
    lifecycle.replica_changed(broken.pk)
    monkeypatch.setattr(repository, "head", lambda _: "d" * 40)
    monkeypatch.setattr(repository, "exists", lambda *_: True)
    space.refresh_from_db()
    assert space.stage == Stage.RUNTIME_ERROR
    lifecycle.pushed(space)
    following.reconcile_spaces()
    space.refresh_from_db()
    assert space.stage == Stage.RUNNING_BUILDING
