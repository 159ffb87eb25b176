"""The platform's own certificate authority. It vouches for nodes that joined, as servers, and for the
platform's processes, as their clients: neither can pass for the other. Profiles as in RFC 5280."""

from __future__ import annotations

import ipaddress
import os
import ssl
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.db import connection
from django.utils import timezone

from hardware.models import Authority
from hardware.trust.keys import private_pem

AUTHORITY_LIFE = timedelta(days=20 * 365)
#: A node asks for the next one while a third of this is left.
LIFE = timedelta(days=30)
#: Clocks may differ by this much.
EARLIER = timedelta(minutes=5)
MOST_REQUEST_BYTES = 10_000


class BadRequest(Exception):
    """This is no request for a certificate; the message gives the reason."""


def certificate() -> str:
    """The authority's own certificate, as PEM: by it nodes know the platform, and it knows them."""
    return _row().certificate


def sign_node(request: str, name: str, address: str) -> tuple[str, datetime]:
    """A certificate for the key in this request (PKCS #10, as PEM), for this name and IP address, and when it
    expires. Nothing else that the request asks for counts.

    Raises:
        BadRequest
    """
    if len(request) > MOST_REQUEST_BYTES:
        raise BadRequest(f"The certificate request is longer than {MOST_REQUEST_BYTES:,} characters.")
    try:
        asked = x509.load_pem_x509_csr(request.encode())
        is_own = asked.is_signature_valid
    except ValueError as error:
        raise BadRequest(f"The certificate request cannot be read: {error}.") from error
    key = asked.public_key()
    if (
        not is_own
        or not isinstance(key, ec.EllipticCurvePublicKey)
        or not isinstance(key.curve, ec.SECP256R1)
    ):
        raise BadRequest("The certificate request must be signed by its own key, on the curve P-256.")
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(address))]
    made = _signed(name, key, ExtendedKeyUsageOID.SERVER_AUTH, names)
    return _pem(made), made.not_valid_after_utc


def client_context() -> ssl.SSLContext:
    """For connections of this process to nodes: with a new key and certificate, which only its memory has."""
    try:
        key = ec.generate_private_key(ec.SECP256R1())
        made = _signed("platform", key.public_key(), ExtendedKeyUsageOID.CLIENT_AUTH, [])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(cadata=certificate())
    finally:
        connection.close()  # the thread is a loop's, and may not come here again
    fd, name = tempfile.mkstemp()  # mode 600; the library reads files alone
    try:
        with os.fdopen(fd, "w") as file:
            file.write(private_pem(key) + _pem(made))
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()
    return context


def _row() -> Authority:
    there = Authority.objects.filter(pk=1).first()
    return there or Authority.objects.get_or_create(pk=1, defaults=_new())[0]


def _new() -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Spaceport")
    usage = _usage(key_cert_sign=True, crl_sign=True)
    made = (
        _builder(name, name, key.public_key(), AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return {"certificate": _pem(made), "key": private_pem(key)}


def _signed(
    name: str,
    key: CertificateIssuerPublicKeyTypes,
    purpose: x509.ObjectIdentifier,
    names: list[x509.GeneralName],
) -> x509.Certificate:
    row = _row()
    own = x509.load_pem_x509_certificate(row.certificate.encode())
    own_key = serialization.load_pem_private_key(row.key.encode(), None)
    assert isinstance(own_key, ec.EllipticCurvePrivateKey)
    made = (
        _builder(_name(name), own.subject, key, LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(own_key.public_key()), critical=False
        )
    )
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return made.sign(own_key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: CertificateIssuerPublicKeyTypes, life: timedelta
) -> x509.CertificateBuilder:
    now = timezone.now()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(**granted: bool) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: granted.get(name, False) for name in names})


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(made: x509.Certificate) -> str:
    return made.public_bytes(serialization.Encoding.PEM).decode()
