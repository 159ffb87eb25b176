"""The life of a Space: its stages, the events that change them, and the steps that each change starts.

Every change comes through here: a push, a build's end, a replica's news, the owner's buttons. Rows are
the record; Celery messages only make the next step happen soon."""

from __future__ import annotations

import math
from datetime import timedelta
from functools import partial

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from hardware import logs, nodes, replicas
from hardware.models import Replica
from hardware.runtimes.base import Artifact, ReplicaSpec
from hardware.tiers import metering
from queueing import queue_settings
from queueing.settings_in_code import settings_in_code
from queueing.store.admin_ops import announce_no_hardware
from queueing.wakeup import wake_dispatcher
from spaces import housekeeping, publishing
from spaces.building import hot_reload, leases
from spaces.card import CardError, SpaceCard, read_card
from spaces.gateway.gradio import kept
from spaces.git import repository
from spaces.models import Build, Sdk, Space, Stage
from spaces.room import waits
from spaces.room.idle import idle_s
from spaces.scaling import follow, leading
from spaces.secrets import environment
from spaces.volumes import mounts
from spaces.webhooks import events

#: What is live already is built when visitors have their first answers of it, and the next edit perhaps too.
BUILT_LATER_S = 1.0
RESTORED_AGAIN_AFTER = timedelta(minutes=10)
RESTORING = "What its last build made is gone from its node; it is built again and starts by itself."


def _move(space: Space, stage: Stage, reason: str = "") -> None:
    is_news = (space.stage, space.stage_reason) != (stage, reason)
    before = publishing.published(space.pk)
    space.stage, space.stage_reason = stage, reason
    # A client that reads RUNNING can call it.
    route = publishing.publish(space)
    space.save(update_fields=["stage", "stage_reason", "last_modified"])
    if not _serving(space):
        publishing.notify_waiting(space)
    if route.awaits and is_news and not (before and before.awaits):
        announce_no_hardware(space.pk, route.awaits)
    if is_news:
        events.stage(space)


def _serving(space: Space) -> bool:
    return space.replica is not None and space.replica.state == Replica.State.READY


# --- a push -----------------------------------------------------------------------------------------


def pushed(space: Space, *, reloads: bool = False) -> None:
    """`main` has a new head: read its card, and build it. `reloads`: what runs is to take it at once."""
    before, is_right = space.sha, read_push(space)
    events.content(space, before)
    if not is_right:
        return
    if space.stage == Stage.PAUSED:
        publishing.publish(space)
    else:
        is_live = (reloads or space.hot_reload) and hot_reload.attempt(space, before)
        build(space, after_s=BUILT_LATER_S if is_live else 0.0)


def read_push(space: Space) -> bool:
    """Take the new head and its card into the row. False: the card has an error, which is the stage now."""
    with transaction.atomic():
        # Concurrent pushes: the last one to lock the row also read the head last.
        Space.objects.select_for_update().only("pk").get(pk=space.pk)
        space.refresh_from_db()
        space.sha = repository.head(space)
        try:
            _take_card(space, read_card(space))
        except CardError as error:
            space.save(update_fields=["sha", "last_modified"])
            problem = str(error)
        else:
            return True
    _move(space, Stage.CONFIG_ERROR, problem)
    return False


def _take_card(space: Space, card: SpaceCard) -> None:
    space.card = card.raw
    space.sdk = card.sdk or space.sdk
    space.title = card.title
    space.emoji = card.emoji
    space.short_description = card.short_description
    space.rolled_back_to = ""
    fields = ["rolled_back_to", "sha", "card", "sdk", "title", "emoji", "short_description", "last_modified"]
    space.save(update_fields=fields)


def build(space: Space, *, after_s: float = 0.0) -> None:
    """Build the head of `main`, in so many seconds. Builds of older commits that have not begun are called
    off."""
    leases.call_off(space.pk, "A newer commit was pushed.")
    if space.sdk == Sdk.STATIC:
        _stop(space, Stage.RUNNING)
        return
    try:
        card = read_card(space)
    except CardError as error:
        _move(space, Stage.CONFIG_ERROR, str(error))
        return
    wanted = "Dockerfile" if space.sdk == Sdk.DOCKER else card.app_file
    if not repository.exists(space, wanted):
        reason = f"There is no {wanted} in the repository yet. Push one to start the Space."
        _move(space, Stage.NO_APP_FILE, reason)
        return
    row = space.builds.create(sha=space.sha)
    _give_up_failed(space)
    _move(space, Stage.RUNNING_BUILDING if _serving(space) else Stage.BUILDING)
    transaction.on_commit(partial(send_build, row, after_s))


def _give_up_failed(space: Space) -> None:
    """Drop a failed candidate once something else is to run."""
    for failed in space.replicas.filter(wanted=True, state=Replica.State.FAILED):
        replicas.order_stop(failed)


def send_build(row: Build, after_s: float = 0.0) -> None:
    """Have the build workers check then; by themselves they find it within seconds."""
    current_app.send_task(
        "spaces.tasks.build", kwargs={"build_id": row.pk}, queue="build", countdown=after_s, expires=60
    )


def built(build_row: Build, artifact: Artifact) -> None:
    """A build succeeded: run it, unless a newer commit came meanwhile."""
    space = Space.objects.select_related("owner", "replica").get(pk=build_row.space_id)
    newer = space.builds.filter(pk__gt=build_row.pk).exclude(status=Build.Status.CANCELLED).exists()
    # A newer commit without a build has a card with an error, or no app: that is shown, not this.
    is_shown = build_row.sha == space.wanted_sha or build_row.restores
    runs = not newer and is_shown and space.stage != Stage.PAUSED
    if runs and not hot_reload.adopt(space, build_row, spec_of(space, build_row.sha, artifact)):
        roll_out(space, build_row, artifact)
    else:
        _settle(space)
    housekeeping.forget_old_artifacts(space)


def _settle(space: Space) -> None:
    """A build ended that is not to run: the stage is again what the one that serves makes it."""
    if space.stage == Stage.RUNNING_BUILDING and space.replica is not None and _serving(space):
        take_over(space, space.replica)


def build_failed(build_row: Build) -> None:
    """A build failed. A version that runs goes on serving."""
    space = Space.objects.select_related("owner", "replica").get(pk=build_row.space_id)
    is_shown = build_row.sha == space.wanted_sha or build_row.restores
    if space.builds.filter(pk__gt=build_row.pk).exists() or not is_shown:
        _settle(space)
        return
    goes_on = " The version before it goes on serving." if _serving(space) else ""
    _move(space, Stage.BUILD_ERROR, build_row.reason + goes_on)


def build_cancelled(space: Space, build_id: int) -> None:
    """A build under way was called off. A version that runs goes on serving."""
    events.build(space.builds.get(pk=build_id))
    if _serving(space):
        _settle(space)
    elif space.stage == Stage.BUILDING:
        _move(space, Stage.BUILD_ERROR, "The build was cancelled. Push a change or rebuild to build again.")


# --- running it -------------------------------------------------------------------------------------


def roll_out(space: Space, build_row: Build, artifact: Artifact) -> Replica:
    """Order a replica of this build; visitors are sent to it once it is ready."""
    # One that was still starting is no longer wanted: only the newest may take over.
    serving_id = space.replica_id if _serving(space) else None
    others = space.replicas.filter(wanted=True).exclude(pk=serving_id or 0)
    # Those beside it serve until then, whether it does or not.
    for other in others.exclude(beside=space.replica_id or 0):
        replicas.order_stop(other)
    spec = spec_of(space, build_row.sha, artifact)
    replica = replicas.order(space_id=space.pk, build_id=build_row.pk, spec=spec)
    stage = Stage.RUNNING_APP_STARTING if serving_id else Stage.APP_STARTING
    _move(space, stage, nodes.absence(space.hardware, replica.volumes))
    return replica


def spec_of(space: Space, sha: str, artifact: Artifact) -> ReplicaSpec:
    """What a replica of this commit is to be, by the Space's settings of now."""
    card = read_card(space, sha)
    return ReplicaSpec(
        space=str(space),
        space_id=space.pk,
        sdk="docker" if space.sdk == Sdk.DOCKER else "gradio",
        artifact=artifact,
        tier=space.hardware,
        app_file=card.app_file,
        port=card.app_port,
        env=environment(space),
        max_threads=queue_settings.effective(space.pk).max_threads,
        health_path=card.health_path if space.sdk == Sdk.DOCKER else "",
        start_timeout_s=card.startup_s or settings.SPACEPORT_START_TIMEOUT_S,
        egress=space.egress or settings.SPACEPORT_EGRESS,
        volumes=mounts.of(space),
    )


def replica_changed(replica_id: int) -> None:
    """News of a replica: route visitors to it, show why it failed, or wait for its restart."""
    replica = Replica.objects.select_related("node").filter(pk=replica_id).first()
    if replica is None or not replica.wanted:
        return
    space = Space.objects.select_related("owner", "replica__node").get(pk=replica.space_id)
    if space.stage in (Stage.PAUSED, Stage.DELETING):
        return
    if not _serving(space) and space.replica_count > 1:
        if leading.succeed(space):
            _succeeded(space)
        replica.refresh_from_db(fields=["beside"])
    if replica.beside is not None:
        follow.follow(space.pk)
        return
    newest = replicas.candidate(space.pk)
    if newest is None or newest.pk != replica.pk:
        return
    if replica.state == Replica.State.READY:
        take_over(space, replica)
    elif replica.state == Replica.State.FAILED:
        _fail(space, replica)
    elif space.replica_id == replica.pk:
        _move(space, Stage.APP_STARTING, replica.reason)
    elif not _serving(space):
        _move(space, Stage.APP_STARTING, replica.reason or waits.reason(space))


def _succeeded(space: Space) -> None:
    """Another replica of what serves leads now: visitors are sent there at once."""
    newest = replicas.candidate(space.pk)
    if space.replica is not None and (newest is None or newest.pk == space.replica_id):
        take_over(space, space.replica)
        return
    starts = space.stage == Stage.APP_STARTING
    _move(space, Stage.RUNNING_APP_STARTING if starts else Stage(space.stage), space.stage_reason)
    _wake(space)


def take_over(space: Space, replica: Replica) -> None:
    """Send visitors to this replica, which is ready; the one before finishes what it runs."""
    if space.replica_id and space.replica_id != replica.pk:
        replicas.set_aside(space.replica_id)
    space.replica = replica
    space.save(update_fields=["replica"])
    queue_settings.found_in_code(space.pk, settings_in_code(replica.report))
    building = space.builds.filter(status__in=[Build.Status.QUEUED, Build.Status.RUNNING]).exists()
    _move(space, Stage.RUNNING_BUILDING if building else Stage.RUNNING)
    _wake(space)
    if space.replica_count > 1:
        transaction.on_commit(partial(follow.follow, space.pk))


def _wake(space: Space) -> None:
    if (route := publishing.published(space.pk)) is not None:
        wake_dispatcher(route)


@transaction.atomic
def _restore(space: Space, replica: Replica) -> bool:
    """What it should run is gone from its node: build that commit again, while visitors wait. False: that was
    done a moment ago and never ran, so its node does not get what builds make."""
    made = space.builds.filter(pk=replica.build_id or 0).first()
    just_built = timezone.now() - RESTORED_AGAIN_AFTER
    is_again = made is not None and made.restores and made.finished_at and made.finished_at > just_built
    if made is None or (is_again and not replicas.has_run(made.pk)):
        return False
    if not Replica.objects.filter(pk=replica.pk, wanted=True).update(wanted=False):
        return True  # other news of it came first
    under_way = space.builds.filter(status__in=[Build.Status.QUEUED, Build.Status.RUNNING])
    if not under_way.exists():
        space.builds.filter(sha=made.sha).update(artifact=None)
        send_build_of(space, made.sha)
    if space.replica_id == replica.pk:
        space.replica = None
        space.save(update_fields=["replica"])
    _move(space, Stage.RUNNING_BUILDING if _serving(space) else Stage.BUILDING, RESTORING)
    return True


def build_again(space: Space, sha: str) -> None:
    """Build a commit that ran before, whatever `main` is now, and run it."""
    _give_up_failed(space)
    send_build_of(space, sha)
    _move(space, Stage.RUNNING_BUILDING if _serving(space) else Stage.BUILDING)


def send_build_of(space: Space, sha: str) -> None:
    """Order a build of a commit that ran before."""
    transaction.on_commit(partial(send_build, space.builds.create(sha=sha, restores=True)))


def _fail(space: Space, replica: Replica) -> None:
    if replica.cause == Replica.MISSING and _restore(space, replica):
        return
    others = space.replica is not None and space.replica_id != replica.pk and _serving(space)
    goes_on = " The version before it goes on serving." if others else ""
    first, *lines = replica.reason.split("\n")
    _move(space, Stage.RUNTIME_ERROR, "\n".join([first + goes_on, *lines]))


# --- the owner's buttons ----------------------------------------------------------------------------


def pause(space: Space) -> None:
    """Stop it until its owner restarts it. Waiting and running events get a message and keep their places."""
    _stop(space, Stage.PAUSED)


def restart(space: Space, factory: bool = False) -> None:
    """Start it anew: from its last build, or from scratch (`factory`)."""
    space.refresh_from_db()
    if factory and space.rolled_back_to:
        space.rolled_back_to = ""
        space.save(update_fields=["rolled_back_to"])
    last = space.builds.filter(status=Build.Status.SUCCEEDED, sha=space.wanted_sha).order_by("-pk").first()
    if space.stage == Stage.PAUSED:
        _move(space, Stage.STOPPED)
    if last is not None and last.artifact is not None and not factory:
        roll_out(space, last, Artifact.from_json(last.artifact))
    elif space.rolled_back_to:
        build_again(space, space.rolled_back_to)
    else:
        build(space)


@transaction.atomic
def wake(space: Space) -> None:
    """Start a sleeping Space, once: several visitors may ask for it."""
    space = Space.objects.select_for_update(of=("self",)).select_related("owner", "replica").get(pk=space.pk)
    if space.stage == Stage.SLEEPING:
        restart(space)


def set_sleep_time(space: Space, seconds: int | None) -> None:
    """Let it sleep after this many seconds without a visitor; None or a negative number is never."""
    space.sleep_time_s = seconds if seconds is not None and seconds >= 0 else None
    space.save(update_fields=["sleep_time_s", "last_modified"])


def environment_changed(space: Space) -> None:
    """A secret, a variable or the hardware changed: a Space that runs gets a new replica."""
    kept.forget(space.pk)
    if space.sdk != Sdk.STATIC and space.replicas.filter(wanted=True).exists():
        restart(space)
    else:
        publishing.publish(space)


def put_to_sleep(space: Space, at_most_s: float = math.inf) -> None:
    """Stop a Space that nobody visited for its sleep time, or for `at_most_s`; the next visitor wakes it."""
    if space.sleep_time_s is None or space.stage != Stage.RUNNING or space.sdk == Sdk.STATIC:
        return
    if (idle := idle_s(space)) is not None and idle > min(space.sleep_time_s, at_most_s):
        _stop(space, Stage.SLEEPING)


def delete(space: Space) -> None:
    """Delete the Space with all it has: replicas, repository, queue, row."""
    _stop(space, Stage.DELETING)
    metering.count(Q(space_id=space.pk))
    events.deleted(space)
    publishing.withdraw(space)
    repository.remove(space)
    logs.forget(space.pk)
    with transaction.atomic():
        housekeeping.note_deleted(space)
        space.delete()


@transaction.atomic
def _stop(space: Space, stage: Stage) -> None:
    """Stop all its replicas. The nodes are notified last, so that an interrupted call finds its reason."""
    for replica in space.replicas.filter(wanted=True):
        replicas.order_stop(replica)
    space.replica = None
    space.save(update_fields=["replica"])
    _move(space, stage)
