"""Is the platform well: web (it answers), database, Redis, a worker."""

from __future__ import annotations

import logging

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from redis import RedisError

from hardware import nodes
from infra.redis_clients import sync_redis
from queueing.store import durability
from spaceport.operators import is_operator

logger = logging.getLogger(__name__)
_logged: dict[str, str] = {}


def problems() -> dict[str, str]:
    """What is not well, by part; empty when all is."""
    found = {}
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
        if not nodes.up():
            found["worker"] = "no node's worker has reported within the last seconds"
    except DatabaseError as error:
        found["database"] = str(error).split("\n")[0]
    try:
        sync_redis().ping()
    except RedisError as error:
        found["redis"] = str(error)
    return found


def warnings() -> dict[str, str]:
    """What works but is not safe."""
    unsafe = durability.warnings()
    return {"redis": "; ".join(unsafe)} if unsafe else {}


def healthz(request: HttpRequest) -> JsonResponse:
    """200 when all is well, else 503 naming what is not. Why, and what is not safe, is told to who runs this
    Spaceport; for all others it is in the log."""
    global _logged
    bad = problems()
    if bad != _logged:
        logger.warning("not well: %s", bad or "nothing any more")
        _logged = bad
    told = {"ok": not bad, "problems": dict.fromkeys(bad, "does not answer")}
    if is_operator(request):
        told |= {"problems": bad, "warnings": warnings()}
    return JsonResponse(told, status=503 if bad else 200)
