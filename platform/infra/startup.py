"""Work that a process has to do once when it begins, and that needs PostgreSQL."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.db import Error, connection

logger = logging.getLogger(__name__)

RETRY_DELAY_S = 0.5


def retry_until_database_ready(act: Callable[[], None], *, unless: Callable[[], bool]) -> None:
    """Do it, again and again until PostgreSQL was there for all of it, or `unless` is true. A worker that
    starts while PostgreSQL is away must not live on without what it has to do first."""
    while not unless():
        try:
            act()
        except Error as error:
            logger.warning("PostgreSQL is away (%s), trying again", error)
        else:
            return
        finally:
            connection.close()  # it is broken, or its thread ends here
        time.sleep(RETRY_DELAY_S)
