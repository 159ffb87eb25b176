"""Sending deliveries: several at a time, few of one owner, again after growing pauses. A
row that is being sent is leased: if its sender dies, another tries again."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import threading
from collections import Counter
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from infra import outbound
from spaces.models import Webhook, WebhookDelivery

logger = logging.getLogger(__name__)

AT_ONCE = 20
OF_ONE_OWNER = 3  # a receiver that hangs keeps no others waiting
LEASE = timedelta(seconds=60)
#: Pauses before each further attempt.
PAUSES = [timedelta(seconds=s) for s in (10, 60, 300, 1800, 7200)]
FAILURES_IN_A_ROW = 20  # deliveries given up; then the webhook is disabled
KEPT = 100  # ended deliveries of one webhook, for its owner to read
ANSWER_BYTES = 2000

_sending = threading.Lock()


def deliver() -> None:
    """Send what is due, until nothing is. Only one thread of a process does this at a time."""
    if not _sending.acquire(blocking=False):
        return
    try:
        while rows := _claim():
            asyncio.run(_send_all(rows))
            for row in rows:
                _note(row)
    finally:
        _sending.release()


@transaction.atomic
def _claim() -> list[WebhookDelivery]:
    due = WebhookDelivery.objects.select_related("webhook").filter(
        next_try_at__lte=timezone.now(), webhook__disabled=False
    )
    found = due.select_for_update(skip_locked=True, of=("self",)).order_by("next_try_at", "pk")
    taken: dict[int, WebhookDelivery] = {}  # one of each webhook, so that it gets events in their order
    each: Counter[int] = Counter()
    for row in found[: AT_ONCE * 10]:
        is_next = row.webhook_id not in taken and len(taken) < AT_ONCE
        if is_next and each[row.webhook.user_id] < OF_ONE_OWNER:
            each[row.webhook.user_id] += 1
            taken[row.webhook_id] = row
    leased = WebhookDelivery.objects.filter(pk__in=[row.pk for row in taken.values()])
    leased.update(next_try_at=timezone.now() + LEASE, attempts=F("attempts") + 1)
    for row in taken.values():
        row.attempts += 1
    return list(taken.values())


async def _send_all(rows: list[WebhookDelivery]) -> None:
    await asyncio.gather(*(_send(row) for row in rows))


async def _send(row: WebhookDelivery) -> None:
    """One attempt; what came of it is in the row, not yet saved."""
    body = json.dumps(row.payload).encode()
    row.status, row.said = None, ""
    try:
        answer = await outbound.send(
            "POST",
            row.webhook.url,
            reaches=settings.SPACEPORT_OUTBOUND_REACHES,
            headers=headers(row, body),
            data=body,
            limit=ANSWER_BYTES,
        )
    except outbound.Refused as error:
        row.said, row.attempts = str(error), len(PAUSES) + 1  # there is no use in trying again
    except outbound.Failed as error:
        row.said = str(error)
    except Exception:
        logger.exception("delivery %s", row.pk)
        row.said = "The platform could not send it; its log says why."
    else:
        row.status = answer.status
        row.said = answer.body.decode("utf-8", "replace").replace("\0", "")


def headers(row: WebhookDelivery, body: bytes) -> dict[str, str]:
    """The Hub's secret as it is, and the body's HMAC with it, as GitHub sends it."""
    found = {
        "Content-Type": "application/json",
        "User-Agent": "Spaceport-Webhook/1",
        "X-Webhook-Delivery": str(row.pk),
    }
    if secret := row.webhook.secret:
        found["X-Webhook-Secret"] = secret
        found["X-Hub-Signature-256"] = f"sha256={signature(secret, body)}"
    return found


def signature(secret: str, body: bytes) -> str:
    """The body's HMAC-SHA256, in hexadecimal."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _note(row: WebhookDelivery) -> None:
    """Save what came of an attempt: done, to be tried again, or given up."""
    done = row.status is not None and 200 <= row.status < 300
    again = not done and row.attempts <= len(PAUSES)
    now = timezone.now()
    row.next_try_at = now + PAUSES[row.attempts - 1] if again else None
    row.tried_at = now
    row.save(update_fields=["status", "said", "attempts", "next_try_at", "tried_at"])
    if again:
        return
    hook = Webhook.objects.filter(pk=row.webhook_id)
    if done:
        hook.update(failures=0)
    else:
        hook.update(failures=F("failures") + 1)
        hook.filter(failures__gte=FAILURES_IN_A_ROW).update(disabled=True)
    ended = row.webhook.deliveries.filter(next_try_at=None).order_by("-pk")
    ended.filter(pk__in=list(ended.values_list("pk", flat=True)[KEPT : KEPT * 2])).delete()


def again(row: WebhookDelivery) -> None:
    """Send an ended delivery once more."""
    WebhookDelivery.objects.filter(pk=row.pk, next_try_at=None).update(next_try_at=timezone.now(), attempts=0)
