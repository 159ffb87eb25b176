"""The minutes' counters go from Redis to PostgreSQL: there a few minutes are kept, here 30 days.

A minute is taken once it is over. Its rows are written with what was counted, not added to, and only then
does it leave Redis, with one script that does so once: a rollup that runs twice, or dies anywhere, neither
loses nor doubles anything. While PostgreSQL is away the minutes wait in Redis, two days at most.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from infra.redis_clients import sync_redis
from queueing.models import QueueMinute
from queueing.routes import MCP, Route, decode, path_fn
from queueing.stats import totals
from queueing.stats.counters import COUNTS, Minute, parse_minute
from queueing.store.keys import SpaceKeys
from queueing.store.scripts import Script

logger = logging.getLogger(__name__)

#: After its end a minute is left alone so long: Redis's clock may have been set back a little.
SETTLED_S = 60
KEPT = timedelta(days=30)
AT_ONCE = 500  # minutes read in one round trip

_fold = Script("fold")


def store(space_ids: Iterable[int]) -> int:
    """Store every minute of these Spaces that is over; how many there were."""
    redis = sync_redis()
    pipe = redis.pipeline(transaction=False)
    ids = list(space_ids)
    for space_id in ids:
        pipe.smembers(SpaceKeys(space_id).minutes)
    pipe.time()
    *answers, (now, _) = pipe.execute()
    over = (now - SETTLED_S) // 60
    work = [
        (space_id, sorted(int(m) for m in found if int(m) < over))
        for space_id, found in zip(ids, answers, strict=True)
    ]
    stored = 0
    for space_id, minutes in work:
        for start in range(0, len(minutes), AT_ONCE):
            stored += _store(space_id, minutes[start : start + AT_ONCE])
    return stored


def _store(space_id: int, numbers: Sequence[int]) -> int:
    redis, k = sync_redis(), SpaceKeys(space_id)
    pipe = redis.pipeline(transaction=False)
    pipe.get(k.route)
    for number in numbers:
        pipe.hgetall(k.minute(number))
    raw_route, *hashes = pipe.execute()
    names = names_of(decode(raw_route) if raw_route else None)
    minutes = {number: parse_minute(fields) for number, fields in zip(numbers, hashes, strict=True)}
    rows = [row for number, minute in minutes.items() for row in _rows(space_id, number, minute, names)]
    try:
        with transaction.atomic():
            QueueMinute.objects.bulk_create(
                rows,
                update_conflicts=True,
                unique_fields=["space", "minute", "lane", "fn"],
                update_fields=[
                    "api_name",
                    *COUNTS,
                    "pending",
                    "running",
                    "calls",
                    "wait",
                    "service",
                    "left",
                    "batch",
                ],
            )
    except IntegrityError:  # the Space was deleted meanwhile
        logger.info("space %s: gone, its minutes are dropped", space_id)
    script = redis.register_script(_fold.source)
    pipe = redis.pipeline(transaction=False)
    for number, minute in minutes.items():
        script(
            keys=[k.minutes, k.minute(number), k.totals],
            args=[number, json.dumps(totals.changes(minute))],
            client=pipe,
        )
    pipe.execute()
    return len(numbers)


def names_of(route: Route | None) -> dict[str, str]:
    """fn to the API name the running app gives it, to "mcp", or to the queued path."""
    if route is None:
        return {}
    paths = {str(path_fn(index)): path for index, path in enumerate(route.app.paths)}
    return {str(MCP): "mcp", **{number: f.api_name for number, f in route.app.every().items()}, **paths}


def _rows(space_id: int, number: int, minute: Minute, names: dict[str, str]) -> list[QueueMinute]:
    at = datetime.fromtimestamp(number * 60, UTC)
    rows = [
        QueueMinute(
            space_id=space_id,
            minute=at,
            lane=lane,
            fn=fn[:200],
            api_name=names.get(fn, "")[:200],
            wait=_json(tally.wait),
            service=_json(tally.service),
            left=_json(tally.left),
            batch=_json(tally.batch),
            running=tally.running,
            **{name: tally.counts[name] for name in COUNTS},
        )
        for (lane, fn), tally in minute.functions.items()
    ]
    if minute.pending or minute.calls:
        about = {"pending": minute.pending, "running": minute.running, "calls": minute.calls}
        rows.append(QueueMinute(space_id=space_id, minute=at, **about))
    return rows


def _json(histogram: Counter[int]) -> dict[str, int]:
    return {str(bucket): count for bucket, count in sorted(histogram.items())}


def forget() -> int:
    """Delete what is older than 30 days; how many rows."""
    deleted, _ = QueueMinute.objects.filter(minute__lt=timezone.now() - KEPT).delete()
    return deleted
