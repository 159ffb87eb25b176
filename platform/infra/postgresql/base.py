"""Django sends each kept connection a `SELECT 1` before its first use in a task or request, which for most of
them doubles what they cost. A server that ends a connection sends a message, or closes it: then there is
something to read.
"""

from __future__ import annotations

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """As Django's, but for the check."""

    def is_usable(self) -> bool:
        """Whether the connection can be used: queried only after errors, or where data came unrequested."""
        if self.connection is None or self.connection.closed:
            return False
        return not (self.errors_occurred or _has_news(self.connection)) or super().is_usable()


def _has_news(connection: object) -> bool:
    """Whether its socket can be read, or broke."""
    poll = select.poll()  # `select.select` knows no descriptors above 1024
    poll.register(connection, select.POLLIN)  # type: ignore[arg-type]
    return bool(poll.poll(0))
