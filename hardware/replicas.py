"""Orders to the nodes' agents: a row is the order, a message only speeds it up."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from celery import current_app
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from hardware import nodes
from hardware.hop import here
from hardware.models import Replica
from hardware.runtimes.base import EngineUnavailable, ReplicaSpec
from hardware.tiers import TIERS, Limits, queue_of
from hardware.trust import fetching, platform_calls

if TYPE_CHECKING:
    from django.db.models import QuerySet

logger = logging.getLogger(__name__)

HINT_EXPIRES_S = 30


def order(
    *,
    space_id: int,
    build_id: int | None,
    spec: ReplicaSpec,
    beside: int | None = None,
    shadow: bool = False,
) -> Replica:
    """Order a replica; a node of its tier takes it, now or when one comes. `beside`: the one that leads;
    `shadow`: it is to be measured beside that one, and serves nobody."""
    replica = Replica.objects.create(
        space_id=space_id,
        build_id=build_id,
        beside=beside,
        shadow=shadow,
        tier=spec.tier,
        limits=spec.may_use.to_json(),
        price_per_hour=TIERS[spec.tier].price_per_hour,
        volumes=[volume.volume_id for volume in spec.volumes],
        # As one text: the encrypted field would give every number back as a string.
        spec={"json": json.dumps(spec.to_json())},
    )
    transaction.on_commit(partial(hint, replica))
    return replica


def spec_of(replica_id: int) -> ReplicaSpec:
    """The complete spec of a replica, as it was ordered."""
    stored, limits = Replica.objects.values_list("spec", "limits").get(pk=replica_id)
    spec = ReplicaSpec.from_json(json.loads(stored["json"]))
    return replace(spec, limits=Limits(**limits) if limits else None)


def spec_here(replica_id: int) -> ReplicaSpec:
    """The spec of a replica that is to run on this node, with what its build made brought here. A node that
    joined cannot read it in the database: its platform gives it those of its own replicas.

    Raises:
        EngineUnavailable: the platform or the registry does not answer.
    """
    joined = here.membership()
    if joined is None:
        spec = spec_of(replica_id)
    else:
        try:
            raw = platform_calls.spec(joined, replica_id)
        except (platform_calls.PlatformAway, platform_calls.Refused) as error:
            raise EngineUnavailable(str(error)) from error
        limits = Replica.objects.values_list("limits", flat=True).get(pk=replica_id)
        spec = replace(ReplicaSpec.from_json(json.loads(raw)), limits=Limits(**limits) if limits else None)
    return replace(spec, artifact=fetching.bring(joined, replica_id, spec))


def brings_more(ordered: Replica, serving: Replica, env: dict[str, str]) -> bool:
    """Whether it differs from the serving one in more than its tier. The environment names the tier, so `env`
    is what the serving one would be given now."""
    if ordered.build_id != serving.build_id:
        return True
    new, old = spec_of(ordered.pk), spec_of(serving.pk)
    return replace(new, tier=old.tier, limits=old.limits, env=env) != old


def replaced_in_place(replica: Replica, spec: ReplicaSpec, *, sha: str, build_id: int) -> bool:
    """Make this the order behind a replica that has taken the code of the commit into its process. False: it
    has not, was started again meanwhile, or the order differs in more than the code."""
    if replace(spec_of(replica.pk), artifact=spec.artifact, limits=spec.limits) != spec:
        return False
    reloaded = Replica.objects.filter(
        pk=replica.pk, wanted=True, state=Replica.State.READY, reloaded_to=sha
    )  # fmt: skip
    stored = {"json": json.dumps(spec.to_json())}
    return bool(reloaded.update(spec=stored, build_id=build_id, reloaded_to=""))


def order_stop(replica: Replica) -> None:
    """Order its end: its node stops it. One that no node has taken ends here."""
    Replica.objects.filter(pk=replica.pk).update(wanted=False)
    Replica.objects.filter(pk=replica.pk, state=Replica.State.PENDING, node=None).update(
        state=Replica.State.STOPPED, ended_at=timezone.now()
    )
    replica.refresh_from_db()
    transaction.on_commit(partial(hint, replica))


def candidate(space_id: int) -> Replica | None:
    """The replica that leads the Space, or will once it is ready: the last that was ordered for that."""
    ordered = Replica.objects.filter(space_id=space_id, wanted=True, set_aside_at=None, beside=None)
    return ordered.order_by("-pk").first()


def candidates(space_ids: QuerySet[Any]) -> list[Replica]:
    """The same of all these Spaces, in one query, with what their stages depend on."""
    ordered = Replica.objects.filter(space_id__in=space_ids, wanted=True, set_aside_at=None, beside=None)
    newest = ordered.order_by("space_id", "-pk").distinct("space_id").select_related("space")
    return list(newest.only("state", "address", "space__stage", "space__replica_id"))


def has_run(build_id: int) -> bool:
    """Whether a replica of this build could ever be called."""
    return Replica.objects.filter(build_id=build_id, ready_at__isnull=False).exists()


def set_aside(replica_id: int) -> None:
    """Note that visitors are sent to others now."""
    Replica.objects.filter(pk=replica_id, wanted=True).update(set_aside_at=timezone.now())


def hint(replica: Replica) -> None:
    """Wake the agents concerned: the replica's own, or all of its tier that are up."""
    queue = queue_of(replica.tier)
    names = [replica.node.name] if replica.node else [node.name for node in nodes.up(replica.tier)]
    for name in names:
        _send("hardware.tasks.reconcile", f"{queue}@{name}")


def announce(space_id: int, sha: str, image: str) -> None:
    """A build of this commit is to run soon, upon this image of dependencies: where the Space runs, its node
    may prepare the start. Not where its process has taken in the code already."""
    serving = Replica.objects.filter(space_id=space_id, wanted=True, set_aside_at=None)
    for replica in serving.filter(state=Replica.State.READY).exclude(reloaded_to=sha).select_related("node"):
        Replica.objects.filter(pk=replica.pk).update(next_image=image)
        hint(replica)


def publish_change(replica_id: int) -> None:
    """Notify the Spaces' side that a replica's state changed."""
    _send("spaces.tasks.replica_changed", "control", replica_id=replica_id)


def _send(task: str, queue: str, **arguments: int) -> None:
    try:
        current_app.send_task(task, kwargs=arguments, queue=queue, expires=HINT_EXPIRES_S)
    except OperationalError as error:  # the schedule brings it up again
        logger.warning("%s not sent to %s: %s", task, queue, error)
