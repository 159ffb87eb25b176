"""Publishes a Space's row to the gateway and the queue: its route, and whether its queue is open."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from celery import current_app
from django.db import transaction
from django.utils import timezone
from msgspec import structs

from hardware import logs, readiness, replicas
from hardware.app_report import Unusable
from hardware.models import Replica
from hardware.replica_client import BadAnswer, Unreachable
from infra.redis_clients import sync_redis
from queueing import queue_settings, routes
from queueing.groups import with_groups
from queueing.protocols.gradio_config import app_from_config
from queueing.routes import App, Route
from queueing.store import keys
from queueing.store.admin_ops import announce_pause, clear
from queueing.store.keys import SpaceKeys
from spaces import card, starting
from spaces.models import FormerName, Sdk, Space, Stage, Visibility
from spaces.room import waits as room_waits
from spaces.scaling import beside

logger = logging.getLogger(__name__)

NO_LAUNCHER = (
    "Spaceport: the server of this app does not let Spaceport's launcher answer: its Python takes no "
    "environment, or its outermost application is neither FastAPI's nor Starlette's. A Gradio app at its "
    "root queues; functions of one at another path do not run."
)
#: Stages in which an event could wait for ever, and the message that its visitor gets instead.
CLOSED = {
    Stage.PAUSED: "This Space is paused by its owner.",
    Stage.NO_APP_FILE: "This Space has no app yet.",
    Stage.CONFIG_ERROR: "This Space has a configuration error; its owner must fix it first.",
    Stage.BUILD_ERROR: "The build of this Space failed; its owner must fix it first.",
    Stage.RUNTIME_ERROR: "This Space's app stopped with an error; its owner must fix it first.",
    Stage.STOPPED: "This Space is stopped.",
    Stage.DELETING: "This Space is being deleted.",
}


class NoAnswer(Exception):
    """The app did not answer the request for its description."""


def publish(space: Space) -> Route:
    """Write the Space's route and whether its queue takes events; idempotent."""
    replica = space.replica if space.replica and space.replica.state == Replica.State.READY else None
    try:
        app = _app_of(space, replica)
    except NoAnswer as error:
        # It died again, or is stuck. No visitor is sent to an app until it is known what has to queue;
        # `spaces.following` publishes it again.
        logger.warning("space %s does not say what it offers: %s", space.pk, error)
        replica = None
        app = _app_of(space, None)
    except Unusable as error:
        # It was another app when its node probed it.
        _refuse(replica, str(error))
        replica = None
        app = _app_of(space, None)
    others, coming = beside.places(space, replica)
    route = Route(
        space_id=space.pk,
        owner=space.owner.name,
        name=space.name,
        owner_id=space.owner_id,
        subdomain=space.subdomain,
        sdk=space.sdk,
        private=space.visibility == Visibility.PRIVATE,
        stage=space.stage,
        sha=space.wanted_sha,
        app_file=str(space.card.get("app_file") or ""),
        headers=card.custom_headers(space.card),
        replica_id=replica.pk if replica else 0,
        address=replica.address if replica else "",
        celery_queue=beside.place_of(replica).celery_queue if replica else "",
        others=others,
        coming=coming,
        awaits=_absence(space, replica),
        app=structs.replace(app, paths=_queued_paths(space)),
    )
    before = published(space.pk)
    start = starting.start_estimate(
        space, before.stage if before else "", serving=replica is not None, can_start=not route.awaits
    )
    _write(space, route, start)
    if route.address and route.app.protocol and not (before and before.replica_id == route.replica_id):
        transaction.on_commit(partial(_have_description_kept, space.pk))
    serving = replica is not None
    queue_settings.refuse(space.pk, "" if serving else CLOSED.get(Stage(space.stage), ""))
    return route


def _write(space: Space, route: Route, start: Mapping[str, str]) -> None:
    pipe = sync_redis().pipeline()
    pipe.set(SpaceKeys(space.pk).route, routes.encode(route))
    # With the route, in one step: from now on no other replica's dispatcher claims anything.
    serving = " ".join(str(place.replica_id) for place in route.places)
    pipe.hset(SpaceKeys(space.pk).cfg, mapping={**start, "replicas": serving})
    for address in _addresses([space, *space.former_names.select_related("owner")]):
        pipe.set(address, space.pk)
    pipe.publish(keys.PUBLISHED, space.pk)
    pipe.execute()


def _have_description_kept(space_id: int) -> None:
    kwargs = {"space_id": space_id}
    current_app.send_task("spaces.tasks.keep_description", kwargs=kwargs, queue="control", expires=60)


def _absence(space: Space, replica: Replica | None) -> str:
    """Why no node can start it now; "" where one can, or where nobody waits for that."""
    waits = replica is None and space.stage == Stage.APP_STARTING
    return room_waits.explanation(space) if waits else ""


def published(space_id: int) -> Route | None:
    """The route as last published."""
    raw = sync_redis().get(SpaceKeys(space_id).route)
    return routes.decode(raw) if raw is not None else None


def published_of(space_ids: Sequence[int]) -> dict[int, Route | None]:
    """The same of several Spaces."""
    pipe = sync_redis().pipeline(transaction=False)
    for space_id in space_ids:
        pipe.get(SpaceKeys(space_id).route)
    raws = pipe.execute()
    return {
        space_id: routes.decode(raw) if raw is not None else None
        for space_id, raw in zip(space_ids, raws, strict=True)
    }


def notify_waiting(space: Space) -> None:
    """Notify the visitors who wait for a Space that will not start by itself. A pause ends some time, so they
    keep their places; an error that only a push can mend ends their events."""
    if space.stage == Stage.PAUSED:
        announce_pause(space.pk)
    elif space.stage in CLOSED and space.stage != Stage.STOPPED:  # on its way from a pause to a start
        clear(space.pk, CLOSED[Stage(space.stage)])


def withdraw(space: Space) -> None:
    """Forget a deleted Space: its route and all of its queue's keys."""
    client = sync_redis()
    withdraw_names([space, *space.former_names.select_related("owner")])
    client.zrem(keys.VISITED, space.pk)
    for key in client.scan_iter(match=f"{SpaceKeys(space.pk).prefix}*", count=1000):
        client.delete(key)
    client.publish(keys.PUBLISHED, space.pk)


def withdraw_names(named: Iterable[Space | FormerName]) -> None:
    """Delete the keys by which these names led to a Space."""
    if addresses := list(_addresses(named)):
        sync_redis().delete(*addresses)


def _addresses(named: Iterable[Space | FormerName]) -> Iterator[str]:
    """The keys that lead to a Space: by the demo hosts and the names that it has and had."""
    for one in named:
        yield keys.host(one.subdomain)
        yield keys.name(str(one))


def _queued_paths(space: Space) -> tuple[str, ...]:
    """As its card names them, whether it runs or not: no request may slip past while it starts."""
    named = space.card.get("queued_paths")
    if space.sdk != Sdk.DOCKER or not isinstance(named, list):
        return ()
    return tuple(path for path in named if isinstance(path, str))


def _app_of(space: Space, replica: Replica | None) -> App:
    """What the app offers. While no replica runs, what it offered last: pages opened then still queue."""
    before = published(space.pk)
    if replica is None:
        return before.app if before else App()
    if before is not None and before.address == replica.address and before.replica_id == replica.pk:
        return before.app
    if space.sdk == Sdk.STATIC:
        return App()
    report = replica.report
    if not report and space.sdk == Sdk.GRADIO:
        logs.append("run", space.pk, [NO_LAUNCHER], replica=replica.pk)
    mount, *others = report.get("mounts") or [""]
    until = time.monotonic() + readiness.CONFIG_S  # for all of them: a hanging app blocks this thread
    app = _load_app(space, replica, mount, until)
    home = f"{mount}/" if mount and not report.get("root", True) else ""
    if not report.get("guards"):
        return structs.replace(with_groups(app, report), others=tuple(others), home=home)
    mounted = [_beside(space, replica, place, number, until) for number, place in enumerate(others, 1)]
    own = tuple(report.get("own") or ())
    app = with_groups(app, report)
    return structs.replace(app, mounted=tuple(mounted), own=own, guarded=True, home=home)


def _beside(space: Space, replica: Replica, mount: str, number: int, until: float) -> App:
    """The functions of a further Gradio app of the same server. If it does not answer, they do not run, since
    the launcher lets nobody else run them."""
    try:
        app = _load_app(space, replica, mount, until)
    except NoAnswer as error:
        logger.warning("space %s: the app at %s does not say what it offers: %s", space.pk, mount, error)
        app = App()
    functions = (replica.report.get("further") or {}).get(mount)
    app = structs.replace(app, mount=mount, number=number)
    return with_groups(app, {**replica.report, "functions": functions})


def _load_app(space: Space, replica: Replica, mount: str, until: float) -> App:
    """The description of the app at this path, if it answers by then (monotonic seconds); nothing, where it
    is not Gradio's.

    Raises:
        NoAnswer
        Unusable: an app that has to be Gradio's is not as Gradio is.
    """
    must_be = space.sdk == Sdk.GRADIO
    try:
        status, config = asyncio.run(readiness.config(replica.address, mount, until - time.monotonic()))
    except Unreachable as error:
        if must_be:
            raise NoAnswer(str(error)) from error
        logger.info("space %s has no readable /config: %s", space.pk, error)
        return App()
    except (BadAnswer, Unusable) as error:
        if must_be:
            raise Unusable(str(error)) from error
        logger.info("space %s has no readable /config: %s", space.pk, error)
        return App()
    if status >= readiness.SERVER_ERROR and must_be:
        raise NoAnswer(f"status {status}")
    if config is not None:
        return app_from_config(config, mount)
    if status == readiness.LOCKED and must_be:
        version = str(replica.report.get("gradio") or "6")
        app = App(protocol="sse_v3", version=version, mount=mount)
        return structs.replace(app, prefix=mount + ("" if app.release[0] in (3, 4) else "/gradio_api"))
    return App()


def _refuse(replica: Replica | None, reason: str) -> None:
    """A replica that cannot be served has failed; its node stops it."""
    ready = Replica.objects.filter(pk=replica.pk if replica else 0, state=Replica.State.READY)
    if ready.update(state=Replica.State.FAILED, address="", reason=reason, ended_at=timezone.now()):
        transaction.on_commit(partial(replicas.publish_change, replica.pk if replica else 0))
