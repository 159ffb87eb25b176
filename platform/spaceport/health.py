"""Is the platform well: web (it answers), database, Redis, a worker."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from redis import RedisError

from hardware import nodes
from queueing import storage
from queueing.connections import sync_redis


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
    unsafe = storage.warnings()
    return {"redis": "; ".join(unsafe)} if unsafe else {}


def healthz(request: HttpRequest) -> JsonResponse:
    """200 when all is well, else 503 naming what is not."""
    bad = problems()
    return JsonResponse({"ok": not bad, "problems": bad, "warnings": warnings()}, status=503 if bad else 200)
