"""Measuring a Space, without measuring: what is refused, what becomes of a run whatever happens to its
replica, and the page that shows and applies what was found. (tests/journeys/test_tuning.py measures.)"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.utils import timezone

from hardware import nodes, replicas
from hardware.models import Replica
from hardware.placement import line, taking
from hardware.runtimes.base import Artifact, NamedVolume, ReplicaSpec
from infra import redis_clients
from queueing import queue_settings
from queueing.groups import Group
from queueing.models import AppliedSettings, TuningRun
from queueing.routes import App, Function, Route, encode
from queueing.store.keys import SpaceKeys
from queueing.tuning import runs
from queueing.tuning.results import GroupResult, Results
from queueing.tuning.runs import Options
from queueing.tuning.sweep import Measured, Point
from spaces import creation
from spaces.models import Space, Stage
from spaces.scaling import beside
from spaces.tuning import start
from tests.people import People
from tests.spaces.pages import as_, folks

__all__ = ["folks"]

pytestmark = pytest.mark.django_db

State, Status = Replica.State, TuningRun.Status
MIB = 1024**2
GIVEN = Options(inputs={"draw": [["a cat"]]})


@pytest.fixture
def space(folks: People, monkeypatch: pytest.MonkeyPatch) -> Iterator[Space]:
    """It runs, with one function."""
    redis_clients.sync_redis().flushdb()
    monkeypatch.setattr(replicas, "hint", lambda _: None)
    nodes.register("here", {"cpu": False}, "docker", "disk")
    space = creation.create(folks.lab, "demo", sdk="gradio", author="alice")
    space.replica = replicas.order(space_id=space.pk, build_id=7, spec=spec_of(space))
    space.stage = Stage.RUNNING
    space.save()
    node = nodes.up()[0]
    Replica.objects.filter(pk=space.replica.pk).update(state=State.READY, address="127.0.0.1:1", node=node)
    app = App(protocol="sse_v3", version="6.0", functions=(Function(id=0, api_name="draw", group="/draw"),))
    route = Route(
        space_id=space.pk, owner="lab", name="demo", owner_id=space.owner_id, subdomain="lab-demo",
        sdk="gradio", private=False, stage="RUNNING", app=app,
    )  # fmt: skip
    redis_clients.sync_redis().set(SpaceKeys(space.pk).route, encode(route))
    queue_settings.found_in_code(space.pk, {"groups": [Group("/draw", "default", ("/draw",))]})
    yield Space.objects.select_related("owner", "replica").get(pk=space.pk)
    redis_clients.sync_redis().flushdb()


def spec_of(space: Space, **more: Any) -> ReplicaSpec:
    artifact = Artifact(runtime="docker")
    return ReplicaSpec(
        space=str(space), space_id=space.pk, sdk="gradio", artifact=artifact, tier="cpu", **more
    )


def started(space: Space) -> tuple[TuningRun, Replica]:
    run = start.start(space, GIVEN, "alice")
    return run, Replica.objects.get(pk=run.replica_id)


def followed(run: TuningRun) -> TuningRun:
    runs.follow()
    return TuningRun.objects.get(pk=run.pk)


def ready(replica: Replica) -> None:
    Replica.objects.filter(pk=replica.pk).update(
        state=State.READY, node=nodes.up()[0], ready_at=timezone.now()
    )


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The tasks that were sent."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, **more: found.append({"name": name, **more}))
    return found


def test_the_replica_is_one_more_of_the_same_that_serves_nobody_and_has_no_data(space: Space) -> None:
    lead = space.replica
    assert lead is not None
    with_volume = spec_of(space, volumes=(NamedVolume(volume_id=3, name="lab/models", path="/models"),))
    Replica.objects.filter(pk=lead.pk).update(spec={"json": json_of(with_volume)})
    run, replica = started(space)
    spec = replicas.spec_of(replica.pk)
    assert (replica.shadow, replica.beside, replica.build_id, replica.tier) == (True, lead.pk, 7, "cpu")
    assert spec.scratch
    assert [volume.read_only for volume in spec.volumes] == [True]
    assert (run.status, run.build_id, run.started_by) == ("starting", 7, "alice")
    ready(replica)
    assert beside.of(space) == []
    assert replicas.candidate(space.pk) == lead


def json_of(spec: ReplicaSpec) -> str:
    return json.dumps(spec.to_json())


def test_it_is_refused_with_the_reason(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    def why(options: Options = GIVEN) -> str:
        with pytest.raises(start.CannotStart) as refused:
            start.start(Space.objects.get(pk=space.pk), options, "alice")
        return str(refused.value)

    lead = Replica.objects.filter(pk=space.replica_id or 0)
    assert "no function paint. It has draw" in why(Options(functions=("paint",)))
    lead.update(reloaded_to="HALF")
    assert why() == start.RELOADED
    lead.update(reloaded_to="", state=State.STARTING)
    assert why() == start.NOT_RUNNING
    lead.update(state=State.READY)
    with monkeypatch.context() as context:
        context.setattr(taking, "node_for", lambda _: None)
        assert "No node has room for one more replica on CPU" in why()
    volume = NamedVolume(volume_id=3, name="lab/models", path="/models")
    lead.update(spec={"json": json_of(spec_of(space, volumes=(volume,)))})
    nodes.register("here", {"cpu": False}, "process", "disk")
    assert why() == start.VOLUMES
    lead.update(spec={"json": json_of(spec_of(space))})
    started(space)
    assert why() == start.GOES_ON
    runs.end(TuningRun.objects.get().pk, Status.CANCELLED)
    route = Route(
        space_id=space.pk, owner="lab", name="demo", owner_id=space.owner_id, subdomain="lab-demo",
        sdk="gradio", private=False, stage="RUNNING",
    )  # fmt: skip
    redis_clients.sync_redis().set(SpaceKeys(space.pk).route, encode(route))
    assert why() == start.NO_GRADIO
    Space.objects.filter(pk=space.pk).update(sdk="static")
    assert why() == start.STATIC


def test_its_nodes_worker_measures_it_once_it_is_ready(space: Space, sent: list[dict[str, Any]]) -> None:
    run, replica = started(space)
    followed(run)
    assert sent == []
    ready(replica)
    assert runs.replica_changed(replica.pk)
    followed(run)
    assert [(one["name"], one["queue"], one["kwargs"]) for one in sent] == [
        ("queueing.tasks.measure", "hw.cpu@here", {"run_id": run.pk})
    ]
    assert not runs.replica_changed(space.replica_id or 0)
    claimed = runs.claim(run.pk, "one")
    assert claimed is not None
    assert runs.claim(run.pk, "two") is None
    assert not runs.beat(run.pk, "two")
    assert runs.beat(run.pk, "one")


def test_a_task_that_died_is_sent_again_and_not_for_ever(space: Space, sent: list[dict[str, Any]]) -> None:
    run, replica = started(space)
    ready(replica)
    for attempt in range(1, runs.MOST_ATTEMPTS + 1):
        followed(run)
        assert len(sent) == attempt
        assert runs.claim(run.pk, f"task {attempt}")
        TuningRun.objects.filter(pk=run.pk).update(seen_at=timezone.now() - runs.LOST_AFTER)
    assert followed(run).note == runs.KILLED
    replica.refresh_from_db()
    assert not replica.wanted


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"state": State.FAILED, "reason": "It broke."}, "did not start: It broke."),
        ({"wanted": False}, "was stopped"),
        ({"set_aside_at": timezone.now()}, "was stopped"),
        ({"waits": {"lacks": "cores", "place": 1, "of": 1}}, "no room"),
        ({"ready_at": timezone.now() - timedelta(hours=1)}, "longer than it may"),
    ],
)
def test_it_ends_where_it_cannot_go_on(
    space: Space, sent: list[dict[str, Any]], change: dict[str, Any], note: str
) -> None:
    run, replica = started(space)
    TuningRun.objects.filter(pk=run.pk).update(created_at=timezone.now() - timedelta(minutes=2))
    Replica.objects.filter(pk=replica.pk).update(**change)
    run = followed(run)
    assert (run.status, note in run.note) == ("failed", True), run.note
    replica.refresh_from_db()
    assert not replica.wanted
    assert sent == []


def test_it_gives_way_to_another_version_and_to_other_spaces(
    space: Space, sent: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, replica = started(space)
    ready(replica)
    with monkeypatch.context() as context:
        context.setattr(line, "is_awaited", lambda _: True)
        assert followed(run).note == runs.GAVE_WAY
    run, replica = started(space)
    Replica.objects.filter(pk=space.replica_id or 0).update(build_id=8)
    assert followed(run).note == runs.OTHER_VERSION


def test_a_replica_without_a_run_is_ended(space: Space, sent: list[dict[str, Any]]) -> None:
    _, replica = started(space)
    TuningRun.objects.all().delete()
    runs.follow()
    replica.refresh_from_db()
    assert not replica.wanted


def measured(space: Space) -> TuningRun:
    points = tuple(
        Measured(
            point=Point(n), throughput=x, error=0.1, memory_bytes=(300 + 100 * n) * MIB, calls=50, p50_s=0.1,
            p95_s=0.12, cores=min(n, 2),
        )
        for n, x in ((1, 10.0), (2, 19.5), (4, 19.8))
    )  # fmt: skip
    group = GroupResult(group="/draw", functions=("/draw",), inputs="examples", points=points)
    results = Results(
        cores=2, memory_limit_bytes=4096 * MIB, rest_bytes=300 * MIB, seconds=40, groups=(group,)
    )
    run, _ = started(space)
    TuningRun.objects.filter(pk=run.pk).update(results=results.to_json())
    runs.end(run.pk, Status.DONE)
    return TuningRun.objects.get(pk=run.pk)


def test_the_page_shows_it_applies_it_and_leads_back(folks: People, space: Space) -> None:
    bob = as_(folks.bob)
    assert "Measure" in bob.get("/lab/demo/tuning").content.decode()
    run = measured(space)
    page = bob.get("/lab/demo/tuning").content.decode()
    assert "Apply concurrency_count 2" in page
    assert "2 cores, 2.0 busy: 4 calls at once gain 2 % and cost 200 MiB." in page
    assert page.count('class="tuning-chart"') == 3
    assert "Memory: 400 MiB at 1, 500 MiB at 2, 0.7 GiB at 4. The chosen one is 2." in page
    done = bob.post(f"/lab/demo/tuning/apply/{run.pk}")
    assert done.headers["Location"] == "/lab/demo/tuning?was_concurrency_count=1"
    assert queue_settings.effective(space.pk).concurrency_count == 2
    row = AppliedSettings.objects.get()
    assert row.measured.endswith("/draw: 2 calls at once, 19.5 events a second, p95 120 ms.")
    page = bob.get(done.headers["Location"]).content.decode()
    assert "The Space is set so already." in page
    assert "Undo" in page
    bob.post("/lab/demo/what-if/apply", {"concurrency_count": "1"})
    assert queue_settings.effective(space.pk).concurrency_count == 1
    assert "19.5 events a second" in bob.get("/lab/demo/what-if").content.decode()


def test_the_form_starts_one_and_says_what_is_wrong(folks: People, space: Space) -> None:
    bob = as_(folks.bob)
    for inputs, said in (
        ("{", "The inputs are no JSON"),
        ('{"draw": 3}', "inputs"),
        ('{"paint": [["x"]]}', "no function paint"),
    ):
        page = bob.post("/lab/demo/tuning/start", {"inputs": inputs}, follow=True).content.decode()
        assert said in page
    assert not TuningRun.objects.exists()
    given = {"inputs": '{"draw": [["x"]]}', "seconds": "20"}
    page = bob.post("/lab/demo/tuning/start", given, follow=True).content.decode()
    assert "Its replica starts." in page
    run = TuningRun.objects.get()
    assert (run.options["seconds"], run.options["inputs"]) == (20, {"draw": [["x"]]})
    assert 'hx-trigger="every 2s"' in bob.get("/lab/demo/tuning/now").content.decode()
    bob.post("/lab/demo/tuning/cancel")
    now = bob.get("/lab/demo/tuning/now").content.decode()
    assert "bob cancelled it." in now
    assert "hx-trigger" not in now
    assert as_(folks.charlie).get("/lab/demo/tuning").status_code == 404


def test_old_ones_are_forgotten(space: Space) -> None:
    for _ in range(runs.KEPT + 2):
        run, _ = started(space)
        runs.end(run.pk, Status.CANCELLED)
    assert runs.of(space.pk).count() == runs.KEPT
