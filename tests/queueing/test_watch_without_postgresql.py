"""What looks after queues goes on when the connection to PostgreSQL dies: it needs only the list of Spaces
(F9)."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from queueing import tasks


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_died_is_survived_and_not_used_again() -> None:
    before = tasks._spaces()
    tasks._space_ids = [*before, 77]  # known from before
    connection.connection.close()  # as when the server went away
    assert tasks._spaces() == [*before, 77]
    with CaptureQueriesContext(connection) as asked:
        assert tasks._spaces() == before
    assert len(asked) == 1
    tasks.reap()
