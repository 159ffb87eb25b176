"""A machine becomes a node: its own side of joining, and of renewing its certificate."""

from __future__ import annotations

import contextlib
import socket
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.utils import timezone

from hardware.hop.addresses import join_parts, split
from hardware.trust import platform_calls
from hardware.trust.keys import private_pem
from hardware.trust.membership import Files, Membership
from hardware.trust.versions import version

if TYPE_CHECKING:
    from pathlib import Path

PORT = 8443
CONNECT_S = 10.0
#: Of the certificate's life, when the next one is asked for.
RENEWED_WHILE_LEFT = timedelta(days=10)


class CannotJoin(Exception):
    """The message gives the reason and what to do."""


def join(home: Path, platform: str, token: str, *, name: str, address: str) -> Membership:
    """Join the platform at this URL as the node `name`, to be reached at `address` ("ip" or "ip:port"; "":
    the address by which this machine reaches the platform).

    Raises:
        CannotJoin
    """
    files = Files(home)
    if (there := files.read()) is not None:
        raise CannotJoin(
            f"This data folder is that of the node {there.node} of {there.platform}. To join anew, remove "
            f"that node in the platform's console, delete {files.folder}, and join with a new token."
        )
    platform = platform.rstrip("/")
    key = ec.generate_private_key(ec.SECP256R1())
    wish: dict[str, object] = {
        "token": token,
        "name": name,
        "address": _address(platform, address),
        "request": request_for(key, name),
        "version": version(),
        "now": time.time(),
    }
    try:
        given = platform_calls.join(platform, wish)
    except (platform_calls.PlatformAway, platform_calls.Refused) as error:
        raise CannotJoin(str(error)) from error
    try:
        membership = Membership(
            platform=platform,
            **{part: given[part] for part in ("node", "label", "address", "credential", "settings")},
        )
        files.write(
            membership, key=private_pem(key), certificate=given["certificate"], authority=given["authority"]
        )
    except KeyError as error:
        raise CannotJoin(f"{platform} answers, but not as a Spaceport that nodes can join.") from error
    return membership


def renew_when_due(files: Files, membership: Membership) -> bool:
    """Whether there is a new key and certificate: the old one's time is nearly over.

    Raises:
        platform_calls.PlatformAway, platform_calls.Refused
    """
    if expires_at(files) - timezone.now() > RENEWED_WHILE_LEFT:
        return False
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = platform_calls.renew(membership, request_for(key, membership.node))
    files.renew(key=private_pem(key), certificate=certificate)
    return True


def expires_at(files: Files) -> datetime:
    """When this node's certificate does."""
    return x509.load_pem_x509_certificate(files.certificate.read_bytes()).not_valid_after_utc


def _address(platform: str, given: str) -> str:
    """The node's own, with a port.

    Raises:
        CannotJoin
    """
    parts = urlsplit(platform)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CannotJoin(f"'{platform}' is no address of a platform, like https://spaces.example.org.")
    if given:
        for whole in (given, f"{given}:{PORT}"):
            with contextlib.suppress(ValueError):
                return join_parts(*split(whole))
        raise CannotJoin(f"--address '{given}' is no address like 10.0.0.7 or 10.0.0.7:8443.")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname, port), CONNECT_S) as way:
            host = str(way.getsockname()[0])
    except OSError as error:
        raise CannotJoin(f"{platform} does not answer: {error}") from error
    return join_parts(host, PORT)


def request_for(key: ec.EllipticCurvePrivateKey, name: str) -> str:
    """A request for a certificate for this key, as PEM. The platform takes nothing else from it."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()
