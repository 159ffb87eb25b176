"""Servers of ours that are away for a moment: the errors that show it, and the answer to the client."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import DatabaseError, InterfaceError, OperationalError
from redis.exceptions import RedisError

RETRY_AFTER_S = 2
#: Classes of SQLSTATE: the connection broke; a crash, an operator or a start ended it.
_AWAY = ("08", "57P")
_CAUSES = 5


@dataclass(frozen=True)
class Away:
    """`code` is stable, `sentence` is for people: what, why, and what to do."""

    code: str
    sentence: str


DATABASE = Away(
    "database.away",
    "The platform's database is restarting or recovering. Running Spaces and waiting calls go on. "
    "Try again in a few seconds.",
)
QUEUE = Away(
    "queue.away",
    "The queue's server is restarting. Waiting calls keep their places. Try again in a few seconds.",
)


def away(error: BaseException) -> Away | None:
    """The absent server that this error shows or was caused by; None for any other fault."""
    cause: BaseException | None = error
    for _ in range(_CAUSES):
        if isinstance(cause, RedisError):
            return QUEUE
        if _is_away(cause):
            return DATABASE
        cause = cause.__cause__ if cause is not None else None
    return None


def _is_away(error: BaseException | None) -> bool:
    # libpq names some broken connections by the plain base class alone.
    if not isinstance(error, OperationalError | InterfaceError) and type(error) is not DatabaseError:
        return False
    state = getattr(error.__cause__, "pgcode", None)  # None: it sent nothing any more, or not yet
    return state is None or state.startswith(_AWAY)
