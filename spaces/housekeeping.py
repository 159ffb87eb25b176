"""Rows, build results and large files would grow for ever: old ones of no use are deleted."""

from __future__ import annotations

import contextlib
import shutil
from datetime import timedelta
from functools import partial

from celery import current_app
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from accounts.models import AccessToken, DeviceLogin
from hardware.models import Deleted, Node, Replica
from hardware.runtimes.base import Artifact
from hardware.tiers import metering
from hardware.trust import tokens
from spaces.building.runs import BUILD_FOLDER
from spaces.lfs import collection, references
from spaces.models import Build, Space

REPLICAS_KEPT = timedelta(days=1)  # after their end; they contain the Space's secrets
ARTIFACTS_KEPT = 3  # of each Space, to go back to at once
BUILDS_KEPT = 20  # of each Space, with their logs
EXPIRED_SHOWN = timedelta(days=30)  # tokens, to their users
ADMIN_LOG_KEPT = timedelta(days=365)  # changes in the console, with their authors
LEFT_BUILDS_KEPT_S = 24 * 3600  # folders of builds whose worker was killed
FORGET_AFTER_S = 10  # the version that replaces it starts first: the engine is slow at removing
GONE_AFTER = timedelta(days=30)  # nodes that never came back, and Spaces that were deleted

_OPEN = [Build.Status.QUEUED, Build.Status.RUNNING]


def forget_old_rows() -> None:
    """Delete them all."""
    now = timezone.now()
    metering.count()
    metering.forget()
    ended = Replica.objects.filter(state__in=[Replica.State.STOPPED, Replica.State.FAILED], wanted=False)
    ended.filter(ended_at__lt=now - REPLICAS_KEPT).delete()
    many = Space.objects.annotate(count=Count("builds")).filter(count__gt=BUILDS_KEPT)
    for space in many.only("pk"):
        _forget_builds(space)
    Session.objects.filter(expire_date__lt=now).delete()
    AccessToken.objects.filter(expires_at__lt=now - EXPIRED_SHOWN).delete()
    DeviceLogin.objects.filter(expires_at__lt=now).delete()
    tokens.forget_old()
    Deleted.objects.filter(created_at__lt=now - GONE_AFTER).delete()
    Node.objects.filter(heartbeat_at__lt=now - GONE_AFTER, replicas=None).delete()
    LogEntry.objects.filter(action_time__lt=now - ADMIN_LOG_KEPT).delete()
    _remove_left_builds(now.timestamp())
    references.release_all(now.hour)
    collection.collect()


def _remove_left_builds(now: float) -> None:
    for folder in settings.SPACEPORT_HOME.glob(f"{BUILD_FOLDER}*"):
        with contextlib.suppress(FileNotFoundError):
            if now - folder.stat().st_mtime > LEFT_BUILDS_KEPT_S + settings.SPACEPORT_BUILD_TIMEOUT_S:
                shutil.rmtree(folder, ignore_errors=True)


def _forget_builds(space: Space) -> None:
    """Delete old builds, except those that run and those that one can roll back to."""
    newest = space.builds.order_by("-pk").values_list("pk", flat=True)[:BUILDS_KEPT]
    runs = space.replicas.filter(wanted=True).values_list("build_id", flat=True)
    kept = {*newest, *filter(None, runs)}
    space.builds.filter(artifact__isnull=True).exclude(pk__in=kept).exclude(status__in=_OPEN).delete()


def forget_old_artifacts(space: Space) -> None:
    """Remove build results that nothing runs and nobody will roll back to."""
    done = list(space.builds.filter(artifact__isnull=False).order_by("-pk"))
    kept = done[:ARTIFACTS_KEPT] + [
        b
        for b in done
        if b.sha == space.rolled_back_to or space.replicas.filter(build_id=b.pk, wanted=True).exists()
    ]
    # Builds of one commit share what they made.
    gone = [Artifact.from_json(b.artifact) for b in done if b.artifact and b.sha not in {k.sha for k in kept}]
    space.builds.filter(pk__in=[b.pk for b in done if b not in kept]).update(artifact=None)
    if gone:
        forget(gone)


def note_deleted(space: Space) -> None:
    """This Space is being deleted: nodes remove what they have of it, and a build worker what is in a
    registry."""
    Deleted.objects.create(space_id=space.pk)
    pushed = space.builds.filter(artifact__has_key="pull").values_list("artifact", flat=True)
    if artifacts := [Artifact.from_json(artifact) for artifact in pushed if artifact]:
        transaction.on_commit(partial(forget, artifacts))


def forget(artifacts: list[Artifact]) -> None:
    """Have a build worker remove what builds made."""
    kwargs = {"artifacts": [artifact.to_json() for artifact in artifacts]}
    current_app.send_task("spaces.tasks.forget", kwargs=kwargs, queue="build", countdown=FORGET_AFTER_S)
