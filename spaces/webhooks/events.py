"""Deliveries to webhooks: one row for each, made where the event happens. A watcher gets only events of
Spaces that its owner may see at that moment."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import partial
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import access
from queueing.models import QueueMinute
from spaces import names
from spaces.models import Build, Space, Webhook, WebhookDelivery

logger = logging.getLogger(__name__)

VERSION = 3
REPO, SPACE = "repo", "space"  # domains; the Hub's other one, discussion, has no events here
MOST_WAITING = 1000  # of one webhook; what comes then is dropped
FULL_EVERY_MINUTES = 10  # how often a full queue is reported again


def content(space: Space, before: str) -> None:
    """`main` has another head than before."""
    refs = [{"ref": "refs/heads/main", "oldSha": before or None, "newSha": space.sha}]
    _notify(space, REPO, "update", "repo.content", {"updatedRefs": refs})


def created(space: Space) -> None:
    """There is a new Space."""
    _notify(space, REPO, "create", "repo")


def moved(space: Space, before: str) -> None:
    """A Space has another name. Webhooks that watch the old one continue."""
    old, new = {"type": "space", "name": before}, {"type": "space", "name": str(space)}
    for hook in Webhook.objects.filter(watched__contains=[old]):
        hook.watched = [new if one == old else one for one in hook.watched]
        hook.save(update_fields=["watched"])
    to = {"name": str(space), "owner": {"id": str(space.owner_id)}}
    _notify(space, REPO, "move", "repo", {"movedTo": to})


def deleted(space: Space) -> None:
    """A Space is about to be gone."""
    _notify(space, REPO, "delete", "repo")


def stage(space: Space) -> None:
    """The Space is in another stage. Its reason may quote the app: only writers get it."""
    value = {"stage": space.stage, "sha": space.wanted_sha or None}
    _notify(
        space, SPACE, "update", "space.stage", {"runtime": value}, secret={"errorMessage": space.stage_reason}
    )


def build(row: Build) -> None:
    """A build began or ended."""
    value = {"id": str(row.pk), "sha": row.sha, "status": row.status}
    space = Space.objects.select_related("owner").filter(pk=row.space_id).first()
    if space is not None:
        secret = {"errorMessage": row.reason}
        _notify(space, SPACE, "update", "space.build", {"build": value}, secret=secret)


def full_queues(since: datetime) -> None:
    """Queues that refused visitors since then, each reported once in ten minutes."""
    subscribed = Webhook.objects.filter(disabled=False, domains__contains=[SPACE])
    if not subscribed.exists():
        return
    rows = QueueMinute.objects.filter(minute__gte=since, full__gt=0).order_by("minute")
    for space_id, minute, refused in rows.values_list("space_id", "minute", "full"):
        space = Space.objects.select_related("owner").filter(pk=space_id).first()
        if space is not None:
            period = int(minute.timestamp()) // (60 * FULL_EVERY_MINUTES)
            value = {"queue": {"refused": refused, "minute": minute.isoformat()}}
            _notify(space, SPACE, "update", "space.queue", value, once=f"full:{space_id}:{period}")


def _notify(
    space: Space,
    domain: str,
    action: str,
    scope: str,
    more: dict[str, Any] | None = None,
    *,
    secret: dict[str, Any] | None = None,
    once: str | None = None,
) -> None:
    """A delivery for each webhook that watches. `secret` goes into the first value of `more` where its owner
    may write; `once`: a second event of this key is none. A failure here stops nothing else."""
    try:
        with transaction.atomic():
            hooks = [hook for hook in _watching(space, domain) if _has_room(hook)]
            rows = [_row(hook, space, action, scope, more or {}, secret or {}, once) for hook in hooks]
            WebhookDelivery.objects.bulk_create(rows, ignore_conflicts=True)
    except Exception:
        logger.exception("webhooks of space %s", space.pk)
        return
    if rows:
        transaction.on_commit(partial(hint))


def hint() -> None:
    """Have a control worker deliver at once."""
    current_app.send_task("spaces.tasks.deliver_webhooks", queue="control", expires=60)


def _watching(space: Space, domain: str) -> list[Webhook]:
    owner = Q()
    for kind in ("user", "org"):
        owner |= Q(watched__contains=[{"type": kind, "name": space.owner.name}])
    found: QuerySet[Webhook] = Webhook.objects.filter(
        owner | Q(watched__contains=[{"type": "space", "name": str(space)}]),
        disabled=False,
        domains__contains=[domain],
        user__is_active=True,
    ).select_related("user")
    return [hook for hook in found if access.can_read(hook.user, space.owner_id, space.visibility)]


def _has_room(hook: Webhook) -> bool:
    return hook.deliveries.filter(next_try_at__isnull=False).count() < MOST_WAITING


def _row(
    hook: Webhook,
    space: Space,
    action: str,
    scope: str,
    more: dict[str, Any],
    secret: dict[str, Any],
    once: str | None,
) -> WebhookDelivery:
    if secret and access.can_write(hook.user, space.owner_id):
        key = next(iter(more))
        more = {**more, key: {**more[key], **secret}}
    payload = {
        "event": {"action": action, "scope": scope},
        "repo": _repo(space),
        **more,
        "webhook": {"id": str(hook.pk), "version": VERSION},
    }
    return WebhookDelivery(
        webhook=hook,
        space_name=str(space),
        scope=scope,
        payload=payload,
        next_try_at=timezone.now(),
        once=once,
    )


def _repo(space: Space) -> dict[str, Any]:
    listed = space.card.get("tags")
    tags = [tag for tag in listed if isinstance(tag, str)] if isinstance(listed, list) else []
    return {
        "type": "space",
        "name": str(space),
        "id": str(space.pk),
        "private": space.visibility == "private",
        "subdomain": space.subdomain,
        "headSha": space.sha or None,
        "owner": {"id": str(space.owner_id)},
        "tags": [space.sdk, *tags],
        "url": {
            "web": f"{settings.SPACEPORT_URL}/spaces/{space}",
            "api": f"{settings.SPACEPORT_URL}/api/spaces/{space}",
            "demo": names.demo_url(space),
        },
    }
