"""Builds have threads and leases of their own: each is built once, whoever dies, and nobody else waits."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Owner
from hardware.runtimes.base import Artifact, BuildFailed, ImageMissing, Log
from spaces import lifecycle, tasks
from spaces.building import builders, leases, results, runs
from spaces.building.builders import Builders
from spaces.models import Build, Space
from tests.waiting import wait_until

Status = Build.Status
ARTIFACT = Artifact(runtime="process", code="/nowhere")


class Engine:
    """In the place of a runtime: builds that take as long as the test wants."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.go = threading.Event()

    def run(self, row: Build, log: Log) -> Artifact:
        self.begun.append(row.pk)
        log("begins")
        assert self.go.wait(30)
        log("ends")
        return ARTIFACT


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    made = Engine()
    monkeypatch.setattr(runs, "run", made.run)
    monkeypatch.setattr(builders, "CHECK_EVERY_S", 0.1)
    yield made
    made.go.set()


@pytest.fixture
def rolled_out(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    found: list[int] = []
    monkeypatch.setattr(lifecycle, "built", lambda row, _: found.append(row.pk))
    monkeypatch.setattr(lifecycle, "build_failed", lambda row: found.append(-row.pk))
    return found


@pytest.fixture
def order(transactional_db: None) -> Callable[[], Build]:
    owner, numbers = Owner.objects.create(name="alice"), itertools.count()

    def order() -> Build:
        """Of a Space of its own: of one Space only one is built at a time."""
        name = f"demo{next(numbers)}"
        space = Space.objects.create(owner=owner, name=name, subdomain=name, sha="0" * 40)
        return space.builds.create(sha=space.sha)

    return order


@pytest.fixture
def worker(engine: Engine) -> Iterator[Callable[[], Builders]]:
    """Starts build workers of two slots."""
    made: list[Builders] = []

    def start() -> Builders:
        made.append(Builders(2))
        made[-1].start()
        return made[-1]

    yield start
    engine.go.set()
    for one in made:
        one.stop()
        one.join(30)


def until(row: Build, status: str) -> Build:
    def reached() -> bool:
        row.refresh_from_db()
        return row.status == status

    wait_until(reached, f"the build is {status}")
    return row


def runs_out(row: Build) -> None:
    Build.objects.filter(pk=row.pk).update(leased_until=timezone.now() - timedelta(seconds=1))


def test_messages_about_builds_hold_no_thread_while_builds_are_slow(
    order: Callable[[], Build],
    engine: Engine,
    worker: Callable[[], Builders],
    rolled_out: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [order() for _ in range(3)]
    monkeypatch.setattr(tasks, "_builders", worker())
    wait_until(lambda: len(engine.begun) == 2, "two of them are built")
    for row in rows * 20:
        tasks.build(row.pk)  # ends, though every slot is taken
    assert Build.objects.filter(status=Status.QUEUED).count() == 1
    engine.go.set()
    for row in rows:
        until(row, Status.SUCCEEDED)
    assert sorted(rolled_out) == sorted(engine.begun) == [row.pk for row in rows]


def test_two_workers_build_each_row_once(
    order: Callable[[], Build], engine: Engine, worker: Callable[[], Builders], rolled_out: list[int]
) -> None:
    engine.go.set()
    rows = [order() for _ in range(12)]
    workers = [worker(), worker()]
    for one in workers * 10:
        one.hint()
    for row in rows:
        until(row, Status.SUCCEEDED)
    assert sorted(rolled_out) == sorted(engine.begun) == [row.pk for row in rows]


def test_a_worker_that_is_replaced_finishes_its_build_alone(
    order: Callable[[], Build],
    engine: Engine,
    worker: Callable[[], Builders],
    rolled_out: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As at a HUP: the lease is shorter than the build, and the old worker renews it to the end."""
    monkeypatch.setattr(leases, "LEASE", timedelta(seconds=1))
    row, old = order(), worker()
    wait_until(lambda: engine.begun, "the old worker builds")
    worker()
    old.stop()
    ends = Build.objects.get(pk=row.pk).leased_until
    assert ends is not None
    wait_until(lambda: timezone.now() > ends + timedelta(seconds=1), "the first lease is long over")
    assert until(row, Status.RUNNING).worker == old.name
    engine.go.set()
    until(row, Status.SUCCEEDED)
    old.join(30)
    assert engine.begun == rolled_out == [row.pk]


def test_a_build_whose_worker_never_returns_is_taken_up_by_another(
    order: Callable[[], Build], engine: Engine, worker: Callable[[], Builders], rolled_out: list[int]
) -> None:
    row = order()
    assert leases.claim("died")
    assert leases.claim("another") is None
    runs_out(row)
    engine.go.set()
    worker()
    until(row, Status.SUCCEEDED)
    assert rolled_out == [row.pk]


def test_one_who_lost_its_build_rolls_nothing_out(
    order: Callable[[], Build], engine: Engine, rolled_out: list[int]
) -> None:
    engine.go.set()
    order()
    frozen = leases.claim("frozen")
    assert frozen is not None
    runs_out(frozen)
    taken = leases.claim("another")
    assert taken is not None
    results.build(frozen, lambda: False)
    assert leases.renew("frozen", [frozen.pk]) == {frozen.pk}
    results.build(frozen, lambda: True)
    assert rolled_out == []
    results.build(taken, lambda: False)
    assert rolled_out == [taken.pk]


def test_a_worker_that_dies_between_a_result_and_its_roll_out_leaves_the_build_open(
    order: Callable[[], Build], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.go.set()
    row = order()
    claimed = leases.claim("dies")
    assert claimed is not None

    def dies(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(lifecycle, "built", dies)
    with pytest.raises(SystemExit):
        results.build(claimed, lambda: False)
    assert not connection.in_atomic_block
    assert until(row, Status.RUNNING).artifact is None


def test_a_build_that_takes_every_worker_with_it_fails_with_a_reason(
    order: Callable[[], Build], engine: Engine, rolled_out: list[int]
) -> None:
    row = order()
    for _ in range(leases.MOST_ATTEMPTS):
        assert leases.claim("dies")
        runs_out(row)
    last = leases.claim("survives")
    assert last is not None
    results.build(last, lambda: False)
    until(row, Status.FAILED)
    assert "ended with its worker 3 times" in row.reason
    assert (engine.begun, rolled_out) == ([], [-row.pk])


def test_a_build_of_a_worker_without_leases_is_left_to_it_for_a_while(order: Callable[[], Build]) -> None:
    row = order()
    began = timezone.now()
    Build.objects.filter(pk=row.pk).update(status=Status.RUNNING, started_at=began, worker="before")
    assert leases.claim("new") is None
    Build.objects.filter(pk=row.pk).update(started_at=began - leases.LEASE_BEFORE)
    assert leases.claim("new") is not None


def test_a_failed_build_says_why(
    order: Callable[[], Build], rolled_out: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_row: Build, _log: Log) -> Artifact:
        raise BuildFailed("No app.py.")

    monkeypatch.setattr(runs, "run", fails)
    order()
    row = leases.claim("one")
    assert row is not None
    results.build(row, lambda: False)
    assert until(row, Status.FAILED).log == "Build failed: No app.py."


def test_a_build_without_the_platforms_image_waits_says_why_and_goes_on_when_it_is_there(
    order: Callable[[], Build], rolled_out: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    space_id = order().space_id
    answers: list[Artifact] = []

    def run(_row: Build, _log: Log) -> Artifact:
        if answers:
            return answers[0]
        raise ImageMissing("Run `manage.py base_image`.")

    monkeypatch.setattr(runs, "run", run)
    for _ in range(leases.MOST_ATTEMPTS + 1):
        row = leases.claim("one")
        assert row is not None
        results.build(row, lambda: False)
        assert leases.claim("one") is None, "not at once"
        row.refresh_from_db()
        assert (row.status, rolled_out) == (Status.RUNNING, [])
        runs_out(row)
    assert Space.objects.get(pk=space_id).stage_reason == "Run `manage.py base_image`."
    answers.append(ARTIFACT)
    mended = leases.claim("two")
    assert mended is not None
    results.build(mended, lambda: False)
    assert rolled_out == [mended.pk]
