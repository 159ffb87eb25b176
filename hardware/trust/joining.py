"""A machine joins as a node, and what it may ask for afterwards: the platform's side."""

from __future__ import annotations

import ipaddress
import re
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import msgspec
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.tokens import digest, random_value
from hardware.hop import addresses
from hardware.models import JoinedNode, JoinToken, Node, Replica
from hardware.nodes import DOWN_AFTER_S
from hardware.trust import authority, database_role, redis_user, tokens
from hardware.trust.versions import version

if TYPE_CHECKING:
    from datetime import datetime

PREFIX = "node_"
#: Heartbeats are times of the node's clock, and judged by the platform's.
MOST_SKEW_S = 5.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class Refused(Exception):
    """The machine cannot join, or the node may not have this; the message gives the reason and what to do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine's wish to join. `address`: "ip:port" where its replicas will be reached; `request`: for a
    certificate, as PEM; `now`: its clock, in Unix seconds."""

    token: str
    name: str
    address: str
    request: str
    version: str
    now: float


@dataclass(frozen=True, kw_only=True)
class Membership:
    """What the new node gets. `settings`: its environment."""

    node: str
    label: str
    address: str
    credential: str
    certificate: str
    authority: str
    settings: dict[str, str]


@transaction.atomic
def join(wish: Request) -> Membership:
    """The machine is a node from now on, and its token is used.

    Raises:
        Refused
    """
    token = tokens.locked(wish.token)
    _check_token(token)
    assert token is not None
    _check_machine(wish)
    _check_servers(wish)
    credential = PREFIX + random_value()
    row = JoinedNode.objects.create(
        node=_node(wish.name), digest=digest(credential), address=wish.address,
        certificate_expires_at=timezone.now(),
    )  # fmt: skip
    certificate = _certify(row, wish.request)
    given = _settings(row)
    JoinToken.objects.filter(pk=token.pk).update(used_at=timezone.now(), used_by=wish.name)
    return Membership(
        node=wish.name,
        label=row.label,
        address=wish.address,
        credential=credential,
        certificate=certificate,
        authority=authority.certificate(),
        settings=given,
    )


def of_credential(plain: str) -> JoinedNode:
    """The node that shows this credential.

    Raises:
        Refused
    """
    row = JoinedNode.objects.select_related("node").filter(digest=digest(plain)).first()
    if row is None:
        raise Refused(
            401,
            "This node was removed, or never joined this platform. Join again with a new token "
            "(`manage.py node join`).",
        )
    return row


def renew(row: JoinedNode, request: str) -> str:
    """A certificate that lasts longer, for the same name and address.

    Raises:
        Refused
    """
    return _certify(row, request)


def spec_json(row: JoinedNode, replica_id: int) -> str:
    """The order of a replica that is placed on this node, with its Space's secrets.

    Raises:
        Refused: it is not.
    """
    placed = Replica.objects.filter(pk=replica_id, node_id=row.node_id, wanted=True)
    stored = placed.values_list("spec", flat=True).first()
    if stored is None:
        raise Refused(404, f"No replica {replica_id} is placed on this node.")
    return str(stored["json"])


def _check_token(token: JoinToken | None) -> None:
    again = "Make a new one in the console, or with `manage.py node token` on the platform's machine."
    if token is None:
        raise Refused(403, f"This join token is not known here. Check it for missing characters. {again}")
    if token.used_at is not None:
        raise Refused(403, f"This join token was used by the node {token.used_by}; each works once. {again}")
    if token.revoked_at is not None:
        raise Refused(403, f"This join token was revoked. {again}")
    if token.expires_at <= timezone.now():
        raise Refused(403, f"This join token has expired. {again}")


def _check_machine(wish: Request) -> None:
    skew_s = wish.now - time.time()
    if abs(skew_s) > MOST_SKEW_S:
        where = "ahead of" if skew_s > 0 else "behind"
        raise Refused(
            409,
            f"This machine's clock is {abs(skew_s):,.0f} s {where} the platform's. Set it, for example "
            "with `timedatectl set-ntp true`, and join again; the token is still good.",
        )
    if wish.version != version():
        raise Refused(
            409,
            f"This machine has another version of Spaceport than the platform: {wish.version} here, "
            f"{version()} there. Install the platform's version and join again; the token is still good.",
        )
    if not _NAME.fullmatch(wish.name):
        raise Refused(
            400,
            "A node's name has up to 63 letters, digits, dots, hyphens and underscores. Choose one with "
            "--name.",
        )
    try:
        _, port = addresses.split(wish.address)
        is_port = 0 < port < 65536
    except ValueError:
        is_port = False
    if not is_port:
        raise Refused(
            400,
            f"{wish.address[:60]!r} is not the address of a node, like 10.0.0.7:8443. Give it with "
            "--address.",
        )


def _node(name: str) -> Node:
    """A row for it, down until its worker starts."""
    try:
        with transaction.atomic():
            return Node.objects.create(
                name=name, heartbeat_at=timezone.now() - timedelta(seconds=DOWN_AFTER_S)
            )
    except IntegrityError as error:
        raise Refused(
            409,
            f"There is a node {name} already. Choose another name with --name; or, if this is the same "
            "machine, remove the old node in the console first. The token is still good.",
        ) from error


def _certify(row: JoinedNode, request: str) -> str:
    host, _ = addresses.split(row.address)
    try:
        made, expires_at = authority.sign_node(request, addresses.tls_name(row.label), host)
    except authority.BadRequest as error:
        raise Refused(400, str(error)) from error
    _note_expiry(row, expires_at)
    return made


def _note_expiry(row: JoinedNode, expires_at: datetime) -> None:
    JoinedNode.objects.filter(pk=row.pk).update(certificate_expires_at=expires_at)


# --- its settings -----------------------------------------------------------------------------------


def _settings(row: JoinedNode) -> dict[str, str]:
    try:
        database = database_role.make(row.pk, settings.SPACEPORT_NODES_DATABASE_URL)
    except database_role.NoRoles as error:
        raise Refused(409, str(error)) from error
    redis, redis_digest = redis_user.make(row.pk, settings.SPACEPORT_NODES_REDIS_URL)
    JoinedNode.objects.filter(pk=row.pk).update(redis_digest=redis_digest)
    return {
        "DATABASE_URL": database,
        "REDIS_URL": redis,
        "SPACEPORT_URL": settings.SPACEPORT_URL,
        "SPACEPORT_NODE": row.node.name,
    }


def dismiss(number: int) -> None:
    """The node of this number was removed: its role and its user go, and their connections end."""
    database_role.drop(number)
    transaction.on_commit(partial(redis_user.drop, number))


def _check_servers(wish: Request) -> None:
    servers = (
        ("PostgreSQL", "SPACEPORT_NODES_DATABASE_URL", settings.SPACEPORT_NODES_DATABASE_URL),
        ("Redis", "SPACEPORT_NODES_REDIS_URL", settings.SPACEPORT_NODES_REDIS_URL),
    )
    is_here = ipaddress.ip_address(addresses.split(wish.address)[0]).is_loopback
    for name, variable, url in servers:
        if not is_here and not _is_reachable(url):
            raise Refused(
                409,
                f"The platform's {name} serves its own machine alone, so no other one can be a node. Run "
                f"{name} where both reach it and set {variable} (docs/howto/add-a-node.md). "
                "The token is still good.",
            )


def _is_reachable(url: str) -> bool:
    """Whether it names more than a socket's folder or this machine."""
    parts = urlsplit(url)
    host = parts.hostname or parse_qs(parts.query).get("host", [""])[0]
    if not host or host.startswith("/") or host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True
