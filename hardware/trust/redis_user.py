"""A node's own user in Redis: it works in queues, and may not administer the server. A Redis that was started
again knows no users: the scheduler makes them anew from the passwords' digests.
https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from accounts.tokens import digest
from hardware.models import JoinedNode
from infra.redis_clients import sync_redis

if TYPE_CHECKING:
    from redis import Redis

#: What clients and Celery send that is in one of the two groups that are shut.
RIGHTS = (
    "resetkeys", "resetchannels", "allkeys", "allchannels", "+@all", "-@admin", "-@dangerous", "+info",
    "+client|setinfo", "+client|setname", "+client|id", "+client|getname",
)  # fmt: skip


def make(number: int, url: str) -> tuple[str, str]:
    """A user for the node of this number; answers the URL with it, and the password's digest."""
    password = secrets.token_urlsafe(32)
    known_by = digest(password)
    _set(sync_redis(), number, known_by)
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{_name(number)}:{password}@{host}").geturl(), known_by


def keep() -> None:
    """Make those anew that the server has forgotten."""
    nodes = dict(JoinedNode.objects.values_list("pk", "redis_digest"))
    if not nodes:
        return
    redis = sync_redis()
    there = set(redis.acl_users())
    for number, known_by in nodes.items():
        if _name(number) not in there:
            _set(redis, number, known_by)


def drop(number: int) -> None:
    """It is nobody any more; its connections end."""
    sync_redis().acl_deluser(_name(number))


def _set(redis: Redis, number: int, known_by: str) -> None:
    redis.execute_command("ACL", "SETUSER", _name(number), "reset", "on", f"#{known_by}", *RIGHTS)


def _name(number: int) -> str:
    return f"node-{number}"
