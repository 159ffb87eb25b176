"""Workers keep their connections to PostgreSQL. Celery closes them before and after each task, and tasks run
every second: each time PostgreSQL would start a process."""

from __future__ import annotations

import functools
from typing import Any

from celery import Celery
from celery.fixups import django

KEPT_S = 600


class Worker(django.DjangoWorkerFixup):  # type: ignore[misc,name-defined]
    """What Celery does in a worker."""

    def install(self) -> Worker:
        """Begin to do it."""
        self._db.connections.settings["default"]["CONN_MAX_AGE"] = KEPT_S
        super().install()
        return self

    def close_database(self, **_: Any) -> None:
        """Close what is too old, or broke: the settings ask for a check before each use."""
        self._db.close_old_connections()


class _Fixup(django.DjangoFixup):
    @functools.cached_property
    def worker_fixup(self) -> Worker:
        return Worker(self.app)


def fixup(app: Celery) -> django.DjangoFixup:
    """What Celery does for Django, with this difference."""
    made = _Fixup(app)
    made.install()
    return made
