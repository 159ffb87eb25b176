"""Which version of a Space runs: going back to an earlier one, and what is kept running for that."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from hardware import replicas
from hardware.models import Replica
from hardware.placement import line
from hardware.runtimes.base import Artifact
from hardware.tiers import TIERS
from infra.redis_clients import sync_redis
from queueing.store.keys import SpaceKeys
from spaces import lifecycle
from spaces.building import leases
from spaces.models import Build, Sdk, Space, Stage

if TYPE_CHECKING:
    from django.db.models import QuerySet

DRAIN_AT_LEAST_S = 10  # an old replica serves open pages this long after visitors were sent to the new one
DRAIN_AT_MOST = timedelta(minutes=30)
#: Stages in which nothing starts until the owner or a visitor requests it.
ASLEEP = (Stage.PAUSED, Stage.SLEEPING)


class CannotRollBack(Exception):
    """The Space cannot run this commit; the message gives the reason and what to do."""


@transaction.atomic
def roll_back(space: Space, sha: str) -> None:
    """Run this commit until the next push, whatever `main` is; `main`'s own head ends that. At once where the
    version still runs, in one start where its build is kept, else it is built again.

    Raises:
        CannotRollBack
    """
    space = Space.objects.select_for_update(of=("self",)).select_related("owner", "replica").get(pk=space.pk)
    if space.sdk == Sdk.STATIC:
        raise CannotRollBack("A static Space always shows the head of main: revert the commit and push.")
    done = space.builds.filter(sha=sha, status=Build.Status.SUCCEEDED).order_by("-pk")
    if not done.exists():
        raise CannotRollBack(f"{sha[:7]} was never built here. Choose a version whose build succeeded.")
    leases.call_off(space.pk, f"{sha[:7]} was gone back to.")
    space.rolled_back_to = "" if sha == space.sha else sha
    space.save(update_fields=["rolled_back_to", "last_modified"])
    if space.stage in ASLEEP:
        return
    kept = done.filter(artifact__isnull=False).first()
    if kept is None:
        lifecycle.build_again(space, sha)
    elif (running := _running(space, kept)) is not None:
        _go_back(space, running)
    else:
        lifecycle.roll_out(space, kept, Artifact.from_json(kept.artifact or {}))


def _running(space: Space, build: Build) -> Replica | None:
    """A replica of this version that can be called and is as one ordered now would be."""
    wanted = lifecycle.spec_of(space, build.sha, Artifact.from_json(build.artifact or {}))
    wanted = replace(wanted, limits=wanted.may_use)
    ready = (
        space.replicas.filter(wanted=True, state=Replica.State.READY, reloaded_to="", beside=None)
        .select_related("node")
        .order_by("-pk")
    )
    return next((one for one in ready if replicas.spec_of(one.pk) == wanted), None)


def _go_back(space: Space, replica: Replica) -> None:
    serving_id = space.replica_id or 0
    others = space.replicas.filter(wanted=True).exclude(pk__in=[replica.pk, serving_id])
    for other in others.exclude(beside=serving_id):
        replicas.order_stop(other)
    Replica.objects.filter(pk=replica.pk).update(set_aside_at=None)
    lifecycle.take_over(space, replica)


def with_replaced() -> QuerySet[Any]:
    """Ids of Spaces that have such replicas."""
    others = Replica.objects.filter(wanted=True, space__replica__state=Replica.State.READY)
    others = others.exclude(beside__isnull=False, set_aside_at=None)
    return others.exclude(pk=F("space__replica_id")).values("space_id")


def retire_replaced(space: Space) -> None:
    """Stop replicas that visitors are no longer sent to, once their last calls have ended. The version before
    is kept for a while, to be gone back to."""
    serving = space.replica
    if serving is None or serving.state != Replica.State.READY:
        return
    now = timezone.now()
    before = space.replicas.filter(wanted=True).exclude(pk=serving.pk).defer("spec", "report")
    before = before.select_related("node")
    # Replaced by a platform of a version that did not note when.
    before.filter(set_aside_at=None, beside=None, pk__lt=serving.pk).update(set_aside_at=now)
    aside = list(before.filter(set_aside_at__isnull=False).order_by("-set_aside_at"))
    last = next((one for one in aside if one.beside is None), None)
    for old in aside:
        since = now - (old.set_aside_at or now)
        is_kept = old is last and _is_kept(old, serving, since)
        if not is_kept and _has_ended(space, old, since):
            replicas.order_stop(old)


def _has_ended(space: Space, old: Replica, since: timedelta) -> bool:
    """Whether its last calls have ended, or have had the time to."""
    if since < timedelta(seconds=DRAIN_AT_LEAST_S):
        return False
    return not sync_redis().exists(SpaceKeys(space.pk).lease(old.pk)) or since > DRAIN_AT_MOST


def _is_kept(old: Replica, serving: Replica, since: timedelta) -> bool:
    """Whether it waits to be gone back to: another version, which has no room that others need."""
    return (
        since < timedelta(seconds=settings.SPACEPORT_KEEP_WARM_S)
        and old.state == Replica.State.READY
        and old.build_id != serving.build_id
        and not TIERS[old.tier].gpu
        and not line.is_awaited(old.tier)
        and not (old.node and old.node.draining_since)
    )
