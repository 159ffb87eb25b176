"""One build from its claim to its end: its log, its result in its row, and the steps that follow."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db import Error, transaction
from redis import RedisError

from hardware import logs
from hardware.runtimes.base import BuildFailed, ImageMissing
from spaces import housekeeping, lifecycle
from spaces.building import leases, runs
from spaces.building.explanations import explain
from spaces.models import Build, Space
from spaces.webhooks import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from hardware.runtimes.base import Artifact

logger = logging.getLogger(__name__)

LOG_KEPT = 2_000_000  # characters of a build's log that its row keeps
OURS = "The platform could not build this Space; its administrator finds the cause in the log."
TOO_OFTEN = (
    f"The build ended with its worker {leases.MOST_ATTEMPTS} times. It may need more memory or disk than the "
    "build machine has. Push a change or rebuild to try again."
)


class Lost(Exception):
    """Another worker has this build now, or its Space is gone."""


def build(row: Build, is_lost: Callable[[], bool]) -> None:
    """Build a row that this worker has claimed, and roll it out. `is_lost` is checked at every line."""
    lines: list[str] = []
    logs.clear("build", row.space_id)

    def log(line: str) -> None:
        if is_lost():
            raise Lost
        lines.append(line)
        logs.append("build", row.space_id, [line])

    artifact = None
    events.build(row)
    try:
        artifact = _made(row, log)
    except Lost:
        logger.warning("build %s was cancelled, or is another worker's now, or its Space is gone", row.pk)
        cancelled = Build.objects.filter(pk=row.pk, status=Build.Status.CANCELLED)
        cancelled.update(log="\n".join(lines)[-LOG_KEPT:])
        return
    except ImageMissing as error:
        logger.warning("build %s waits: %s", row.pk, error)
        logs.append("build", row.space_id, [str(error)])
        Space.objects.filter(pk=row.space_id).update(stage_reason=str(error))
        leases.put_back(row)
        return
    except (Error, RedisError):  # ours, and over soon: its lease runs out, and it is built again
        raise
    except BuildFailed as failure:
        row.status, row.reason = Build.Status.FAILED, f"{explain(lines)} {failure}".strip()
        lines.append(f"Build failed: {row.reason}")
    except Exception:
        logger.exception("build %s", row.pk)
        row.status, row.reason = Build.Status.FAILED, OURS
        lines.append(OURS)
    if row.status == Build.Status.FAILED:
        logs.append("build", row.space_id, lines[-1:])
    row.log = "\n".join(lines)[-LOG_KEPT:]
    _end(row, artifact)


def _made(row: Build, log: Callable[[str], None]) -> Artifact:
    if row.attempts > leases.MOST_ATTEMPTS:
        raise BuildFailed(TOO_OFTEN)
    artifact = runs.run(row, log)
    row.artifact, row.status = artifact.to_json(), Build.Status.SUCCEEDED
    return artifact


@transaction.atomic
def _end(row: Build, artifact: Artifact | None) -> None:
    """The result and what follows from it, together: a worker that dies between leaves the build open."""
    if not leases.finish(row):
        logger.warning("build %s ended, but is no longer this worker's", row.pk)
        if artifact is not None and not Build.objects.filter(pk=row.pk).exists():
            housekeeping.forget([artifact])
        return
    events.build(row)
    if artifact is not None:
        lifecycle.built(row, artifact)
    else:
        lifecycle.build_failed(row)
