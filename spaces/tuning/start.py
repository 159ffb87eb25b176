"""Starts a measurement: a replica that runs what the Space runs, with no visitor sent to it and nothing of
the Space's data within its reach."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from hardware import replica_client, replicas
from hardware.models import Replica
from hardware.placement import taking
from hardware.replica_client import ReplicaError
from hardware.tiers import tier
from queueing.measuring import inputs, plan
from queueing.models import TuningRun
from queueing.tuning import runs
from spaces import publishing
from spaces.models import Sdk, Space

if TYPE_CHECKING:
    from hardware.runtimes.base import ReplicaSpec
    from queueing.routes import App
    from queueing.tuning.runs import Options

#: For its `/config`, which an app that is busy answers late.
CONFIG_S = 10.0

STATIC = "A static Space runs no functions: there is nothing to measure."
NOT_RUNNING = "The Space is not running. Start it, and measure it then."
NO_GRADIO = "There is no Gradio app to call in this Space, or it is behind a password."
RELOADED = "The Space runs an edit that is not built yet. Measure it in a moment."
GOES_ON = "The Space is being measured already. Cancel that first."
NO_ROOM = (
    "No node has room for one more replica on {title} hardware, which a measurement needs for some minutes. "
    "Try again when other Spaces have ended."
)
VOLUMES = (
    "The Space has a named volume, and its node runs without a container engine: nothing would keep the "
    "measured replica from writing to it."
)


class CannotStart(Exception):
    """It cannot be measured now; the message gives the reason and what to do."""


def start(space: Space, options: Options, by: str) -> TuningRun:
    """Order the replica; its node's worker measures it once it is ready.

    Raises:
        CannotStart
    """
    if space.sdk == Sdk.STATIC:
        raise CannotStart(STATIC)
    lead = Replica.objects.select_related("node").filter(pk=space.replica_id or 0).first()
    if lead is None or not lead.wanted or lead.state != Replica.State.READY:
        raise CannotStart(NOT_RUNNING)
    if lead.reloaded_to:
        raise CannotStart(RELOADED)
    if runs.open_run(space.pk) is not None:
        raise CannotStart(GOES_ON)
    _check_inputs(space, lead, options)
    spec = _spec(lead, options)
    _check_room(space, lead, spec)
    try:
        with transaction.atomic():
            replica = replicas.order(
                space_id=space.pk, build_id=lead.build_id, spec=spec, beside=lead.pk, shadow=True
            )
            return TuningRun.objects.create(
                space=space,
                sha=space.wanted_sha,
                build_id=lead.build_id,
                tier=lead.tier,
                replica_id=replica.pk,
                started_by=by,
                options=options.to_json(),
                note="Its replica starts.",
            )
    except IntegrityError as error:
        raise CannotStart(GOES_ON) from error


def _check_inputs(space: Space, lead: Replica, options: Options) -> None:
    route = publishing.published(space.pk)
    app = route.app if route is not None else None
    if app is None or not app.protocol or not app.functions:
        raise CannotStart(NO_GRADIO)
    known = plan.names(app)
    if wrong := [name for name in (*options.functions, *options.inputs) if name.strip("/") not in known]:
        raise CannotStart(f"The app has no function {wrong[0]}. It has {', '.join(sorted(known))}.")
    if not options.inputs and not _has_samples(lead, app, options):
        raise CannotStart(plan.NO_INPUTS)


def _has_samples(lead: Replica, app: App, options: Options) -> bool:
    """Whether its page has sample inputs; an app that does not say is asked again when it is measured."""
    try:
        status, raw = asyncio.run(
            replica_client.fetch(
                lead.address, f"{app.mount}/config", limit=inputs.CONFIG_BYTES, total_s=CONFIG_S
            )
        )
    except ReplicaError:
        return True
    recipes = inputs.recipes(raw) if status == 200 else {}
    return any(
        plan.has_samples(function, recipes)
        for function in app.functions
        if plan.is_wanted(function, options.functions)
    )


def _spec(lead: Replica, options: Options) -> ReplicaSpec:
    spec = replicas.spec_of(lead.pk)
    if spec.volumes and lead.node is not None and lead.node.runtime == "process":
        raise CannotStart(VOLUMES)
    return replace(
        spec,
        scratch=True,
        volumes=tuple(replace(volume, read_only=True) for volume in spec.volumes),
        max_threads=max(spec.max_threads, options.max_concurrency),
    )


def _check_room(space: Space, lead: Replica, spec: ReplicaSpec) -> None:
    one_more = Replica(
        space_id=space.pk,
        tier=lead.tier,
        limits=spec.may_use.to_json(),
        volumes=[volume.volume_id for volume in spec.volumes],
        beside=lead.pk,
    )
    if taking.node_for(one_more) is None:
        raise CannotStart(NO_ROOM.format(title=tier(lead.tier).title))
