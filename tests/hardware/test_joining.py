"""A machine joins with a token: what it gets, what it may do with that, and why it is refused."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from msgspec import structs

from hardware import nodes, replicas
from hardware.hop import addresses, here
from hardware.models import Authority, JoinedNode, JoinToken, Node, Replica
from hardware.runtimes.base import Artifact, ReplicaSpec
from hardware.trust import becoming, joining, platform_calls, tokens
from hardware.trust.membership import Files, Membership, attach
from hardware.trust.versions import version
from hardware.upkeep import draining
from spaces.models import Space

pytestmark = pytest.mark.django_db


def wish(token: str, **changes: Any) -> joining.Request:
    key = ec.generate_private_key(ec.SECP256R1())
    made = joining.Request(
        token=token, name="rack1", address="10.0.0.7:8443", request=becoming.request_for(key, "rack1"),
        version=version(), now=time.time(),
    )  # fmt: skip
    return structs.replace(made, **changes)


@pytest.fixture(autouse=True)
def servers_in_the_network(settings: Any) -> None:
    settings.SPACEPORT_NODES_DATABASE_URL = "postgresql://spaceport@db.example.org/spaceport"
    settings.SPACEPORT_NODES_REDIS_URL = "redis://redis.example.org/0"


@pytest.fixture
def token() -> str:
    return tokens.issue("admin")[1]


def refusal(asked: joining.Request) -> str:
    with pytest.raises(joining.Refused) as refused:
        joining.join(asked)
    return str(refused.value)


def test_a_machine_gets_a_certificate_for_its_own_name_and_address(token: str) -> None:
    given = joining.join(wish(token))
    node = JoinedNode.objects.get(node__name="rack1")
    made = x509.load_pem_x509_certificate(given.certificate.encode())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [f"n{node.pk}.nodes.spaceport.internal"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.7"]
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH], "it is no client of other nodes"
    made.verify_directly_issued_by(x509.load_pem_x509_certificate(given.authority.encode()))
    assert timedelta(days=29) < made.not_valid_after_utc - timezone.now() <= timedelta(days=30)
    assert given.settings["SPACEPORT_NODE"] == "rack1"
    assert "SPACEPORT_SECRET_KEY" not in given.settings
    assert not nodes.is_up(node.node), "it is, once its worker runs"


def test_neither_tokens_nor_credentials_nor_the_authoritys_key_can_be_read_in_the_database(
    token: str,
) -> None:
    given = joining.join(wish(token))
    stored = [*JoinToken.objects.values(), *JoinedNode.objects.values()]
    assert token not in str(stored)
    assert given.credential not in str(stored)
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("select key from hardware_authority")
        assert "PRIVATE" not in str(cursor.fetchall())
    assert "PRIVATE" in Authority.objects.get().key


def test_a_token_works_once(token: str) -> None:
    joining.join(wish(token))
    assert refusal(wish(token, name="rack2")).startswith("This join token was used by the node rack1")


def test_a_token_expires_and_can_be_revoked(token: str) -> None:
    assert refusal(wish("join_nonsense")).startswith("This join token is not known here.")
    row = JoinToken.objects.get()
    JoinToken.objects.update(expires_at=timezone.now())
    assert "has expired" in refusal(wish(token))
    row, other = tokens.issue("admin")
    assert tokens.revoke(row.pk)
    assert "was revoked" in refusal(wish(other))
    assert not Node.objects.exists()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"version": "hardware 0001"}, "has another version of Spaceport"),
        ({"now": 0.0}, "s behind the platform's. Set it"),
        ({"name": "a/b"}, "A node's name has up to 63"),
        ({"address": "rack1.example.org:8443"}, "is not the address of a node"),
        ({"request": "none"}, "The certificate request cannot be read"),
    ],
)
def test_what_stops_a_machine_is_told_and_leaves_its_token_good(
    token: str, changes: dict[str, Any], why: str
) -> None:
    assert why in refusal(wish(token, **changes))
    assert not Node.objects.exists()
    joining.join(wish(token))


def test_a_name_is_one_nodes_alone(token: str) -> None:
    nodes.register("rack1", {"cpu": False}, "process")
    assert refusal(wish(token)).startswith("There is a node rack1 already.")
    joining.join(wish(token, name="rack2"))


def test_a_platform_whose_database_is_on_its_own_machine_takes_no_other_machine(
    token: str, settings: Any
) -> None:
    settings.SPACEPORT_NODES_DATABASE_URL = "postgresql://postgres@/spaceport?host=%2Ftmp%2Fx"
    assert "PostgreSQL serves its own machine alone" in refusal(wish(token))


# --- afterwards -------------------------------------------------------------------------------------


def ordered(space: Space, node: Node | None) -> Replica:
    artifact = Artifact(runtime="process", environment="e", code="c")
    spec = ReplicaSpec(
        space="alice/demo",
        space_id=space.pk,
        sdk="gradio",
        artifact=artifact,
        tier="cpu",
        env={"KEY": "secret"},
    )
    row = replicas.order(space_id=space.pk, build_id=None, spec=spec)
    Replica.objects.filter(pk=row.pk).update(node=node)
    return row


def ask(path: str, credential: str, **body: Any) -> Any:
    return Client().post(
        f"/api/node/{path}", body, content_type="application/json",
        headers={"Authorization": f"Bearer {credential}"},
    )  # fmt: skip


def test_a_node_gets_the_orders_of_its_own_replicas_and_no_others(space: Space, token: str) -> None:
    given = joining.join(wish(token))
    own = ordered(space, Node.objects.get(name="rack1"))
    elsewhere, waiting = ordered(space, nodes.register("here", {}, "process")), ordered(space, None)
    answer = ask("spec", given.credential, replica=own.pk)
    assert json.loads(answer.json()["spec"])["env"] == {"KEY": "secret"}
    for other in (elsewhere, waiting):
        answer = ask("spec", given.credential, replica=other.pk)
        assert answer.status_code == 404
        assert "secret" not in answer.content.decode()


def test_a_node_that_was_removed_is_nobody_and_its_number_is_never_given_again(token: str) -> None:
    given = joining.join(wish(token))
    draining.remove(Node.objects.get(name="rack1"))
    key = ec.generate_private_key(ec.SECP256R1())
    answer = ask("renew", given.credential, request=becoming.request_for(key, "rack1"))
    assert answer.status_code == 401
    assert "was removed" in answer.json()["error"]
    again = joining.join(wish(tokens.issue("admin")[1]))
    assert again.label != given.label, "its old certificate is for another name"


def test_a_certificate_is_renewed_before_its_end(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, membership = joined(token, tmp_path, monkeypatch)
    assert not becoming.renew_when_due(files, membership)
    before, key = becoming.expires_at(files), files.key.read_text()
    monkeypatch.setattr(becoming, "RENEWED_WHILE_LEFT", timedelta(days=40))
    assert becoming.renew_when_due(files, membership)
    assert becoming.expires_at(files) >= before
    assert files.key.read_text() != key


def joined(
    token: str, home: Path, monkeypatch: pytest.MonkeyPatch, address: str = "10.0.0.7"
) -> tuple[Files, Membership]:
    """As a machine does, its requests answered in this process."""

    def post(_platform: str, path: str, body: dict[str, object], credential: str) -> dict[str, Any]:
        answer = ask(path.removeprefix("api/node/"), credential, **body)
        said: dict[str, Any] = answer.json()
        if answer.status_code != 200:
            raise platform_calls.Refused(answer.status_code, said["error"])
        return said

    monkeypatch.setattr(platform_calls, "_post", post)
    made = becoming.join(home, "http://localhost:1/", token, name="rack1", address=address)
    return Files(home), made


def test_what_a_machine_is_given_only_its_own_account_reads(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, membership = joined(token, tmp_path, monkeypatch)
    assert files.read() == membership
    assert membership.address == "10.0.0.7:8443"
    assert {path.name: path.stat().st_mode & 0o777 for path in files.folder.iterdir()} == {
        "membership.json": 0o600, "key.pem": 0o600, "certificate.pem": 0o600, "authority.pem": 0o600,
    }  # fmt: skip
    environ = {"REDIS_URL": "redis://mine/0", "SPACEPORT_NODE": "another"}
    assert attach(tmp_path, environ)
    assert "node_" in environ["DATABASE_URL"]
    assert environ["REDIS_URL"] == "redis://mine/0"
    assert environ["SPACEPORT_NODE"] == "rack1"
    with pytest.raises(becoming.CannotJoin, match="is that of the node rack1"):
        becoming.join(tmp_path, "http://localhost:1/", token, name="rack1", address="")


def test_a_joined_node_that_was_removed_does_not_come_back_by_itself(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, membership = joined(token, tmp_path, monkeypatch)
    monkeypatch.setattr(here, "membership", lambda: membership)
    nodes.register("rack1", {"cpu": False}, "process")
    Node.objects.all().delete()
    with pytest.raises(nodes.Removed, match=r"manage\.py node join"):
        nodes.register("rack1", {"cpu": False}, "process")


@pytest.mark.parametrize(
    ("address", "why"),
    [("ftp://x", "is no address of a platform"), ("http://127.0.0.1:1", "does not answer")],
)
def test_an_address_that_is_no_platforms_is_told(tmp_path: Path, address: str, why: str) -> None:
    with pytest.raises(becoming.CannotJoin, match=why):
        becoming.join(tmp_path, address, "join_x", name="rack1", address="")


def test_the_command_makes_tokens_and_refuses_odd_times(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("node", "token")
    plain = capsys.readouterr().out.strip()
    assert joining.join(wish(plain)).node == "rack1"
    with pytest.raises(CommandError, match="at most 720 hours"):
        call_command("node", "token", "--hours", "721")


def test_an_address_is_taken_apart_as_it_was_put_together() -> None:
    text = "[fd00::7]:8443/n3/41/127.0.0.1:40123"
    there = addresses.parse(text)
    assert there is not None
    assert str(there) == text
    assert addresses.local(text) == addresses.local("127.0.0.1:40123") == "127.0.0.1:40123"
    assert addresses.parse("127.0.0.1:40123") is None
