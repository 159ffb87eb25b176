"""Workers keep their connections to PostgreSQL. Celery closes them before and after each task, and tasks run
every second: each time PostgreSQL would start a process."""

from __future__ import annotations

import functools
from typing import Any

from celery import Celery
from celery.fixups import django

KEPT_S = 600


class Worker(django.DjangoWorkerFixup):  # type: ignore[misc,name-defined]
    """Celery's own behaviour in a worker."""

    def install(self) -> Worker:
        """Begin to do it."""
        self._db.connections.settings["default"]["CONN_MAX_AGE"] = KEPT_S
        super().install()
        return self

    def validate_models(self) -> None:
        """Set Django up. Celery would also run its checks, which load all pages, and drop the findings."""
        self.django_setup()

    def close_database(self, **_: Any) -> None:
        """Close connections that are too old, or broke: the settings require a check before each use."""
        self._db.close_old_connections()


class _Fixup(django.DjangoFixup):
    @functools.cached_property
    def worker_fixup(self) -> Worker:
        return Worker(self.app)


def fixup(app: Celery) -> django.DjangoFixup:
    """Celery's support for Django, with this difference."""
    made = _Fixup(app)
    made.install()
    return made
