"""Is the platform well: web (it answers), database, Redis, a node, control, a build worker."""

from __future__ import annotations

import logging

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from redis import RedisError

from hardware import nodes
from queueing.store import durability
from spaceport.operators import is_operator
from spaces.building import workers

logger = logging.getLogger(__name__)
#: Later than this, and Spaces neither wake nor go live in time.
CONTROL_LATE_S = 30
_logged: dict[str, str] = {}


def problems() -> dict[str, str]:
    """The problems, by part; empty when all is well."""
    found = {}
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
        if not nodes.up():
            found["worker"] = "no node's worker has reported within the last seconds"
    except DatabaseError as error:
        found["database"] = str(error).split("\n")[0]
    try:
        found |= _worker_problems(workers.read())
    except RedisError as error:
        found["redis"] = str(error)
    return found


def _worker_problems(seen: workers.Workers) -> dict[str, str]:
    found = {}
    if seen.control_lag_s is None:
        found["control"] = "no control worker has done scheduled work; is the scheduler (beat) up?"
    elif seen.control_lag_s > CONTROL_LATE_S:
        found["control"] = (
            f"scheduled work is {seen.control_lag_s:.0f} s late, {seen.waiting['control']} messages wait"
        )
    if not seen.builders:
        found["build worker"] = "no build worker has reported within the last seconds"
    return found


def warnings() -> dict[str, str]:
    """What works but is not safe."""
    unsafe = durability.warnings()
    return {"redis": "; ".join(unsafe)} if unsafe else {}


def healthz(request: HttpRequest) -> JsonResponse:
    """200 when all is well, else 503 naming what is not. Administrators also get the reasons
    and what is not safe; for all others that is in the log."""
    global _logged
    bad = problems()
    if bad != _logged:
        logger.warning("not well: %s", bad or "nothing any more")
        _logged = bad
    report = {"ok": not bad, "problems": dict.fromkeys(bad, "does not answer")}
    if is_operator(request):
        report |= {"problems": bad, "warnings": warnings()}
    return JsonResponse(report, status=503 if bad else 200)
