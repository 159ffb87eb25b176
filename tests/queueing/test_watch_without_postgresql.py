"""Scheduled work on queues continues while PostgreSQL is away: it needs only the list of Spaces."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from queueing import tasks


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_died_is_survived_and_not_used_again() -> None:
    before = tasks.QueuedSpaces().ids()
    spaces = tasks.QueuedSpaces(*before, 77)
    connection.connection.close()  # as when the server went away
    assert spaces.ids() == [*before, 77]
    with CaptureQueriesContext(connection) as asked:
        assert spaces.ids() == before
    assert len(asked) == 1
    tasks.reap()
