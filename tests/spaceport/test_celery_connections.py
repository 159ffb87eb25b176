"""A worker's thread keeps its connection to PostgreSQL from task to task, and not one that broke."""

from __future__ import annotations

import os
from types import SimpleNamespace

import psycopg2
import pytest
from django.db import connection

from spaceport.celery import app
from spaceport.celery_connections import KEPT_S, Worker

TASK = SimpleNamespace(request=SimpleNamespace(is_eager=False))


def backend() -> int:
    """The process in PostgreSQL that answers this thread."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        return int(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_it_is_kept_until_it_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", KEPT_S)
    worker = Worker(app)

    def between_tasks() -> None:
        worker.on_task_postrun(TASK)
        worker.on_task_prerun(TASK)

    first = backend()
    other = psycopg2.connect(os.environ["DATABASE_URL"])
    with other, other.cursor() as cursor:
        between_tasks()
        connection.cursor().close()
        cursor.execute("select query from pg_stat_activity where pid = %s", [first])
        assert cursor.fetchone() == ("select pg_backend_pid()",), "the check needs no query"
        assert backend() == first
        cursor.execute("select pg_terminate_backend(%s, 5000)", [first])
    other.close()
    between_tasks()
    assert backend() != first
    connection.close()
