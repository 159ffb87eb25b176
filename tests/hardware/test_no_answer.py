"""An app that was started and cannot be called: where it listens says why, and what to do."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from typing import Literal

import pytest

from hardware.runtimes.base import Artifact, ReplicaSpec
from hardware.upkeep.no_answer import describe
from infra import listening
from infra.listening import Listener

CONTAINER, PROCESS = "10.213.0.7:8080", "127.0.0.1:40123"
EVERYWHERE, ITSELF = "0.0.0.0", "127.0.0.1"  # noqa: S104  # words, nothing listens


@pytest.mark.parametrize(
    ("sdk", "address", "listeners", "said"),
    [
        ("docker", CONTAINER, None, ["Compare it with app_port"]),
        ("gradio", CONTAINER, None, []),
        ("docker", CONTAINER, [], ["opened no port", "0.0.0.0:8080", "startup_duration_timeout"]),
        ("gradio", PROCESS, [], ["opened no port", "demo.launch()", "startup_duration_timeout"]),
        ("docker", CONTAINER, [(EVERYWHERE, 8000)], ["port 8000 instead", "`app_port: 8000`", "on 8080"]),
        ("docker", CONTAINER, [("::", 8000), (ITSELF, 8000)], ["on port 8000 instead"]),
        (
            "docker",
            CONTAINER,
            [(EVERYWHERE, n) for n in range(9000, 9010)],
            ["9000 and 9001 and 9002 instead"],
        ),
        ("gradio", PROCESS, [(ITSELF, 7861)], ["port 7861 instead", "GRADIO_SERVER_PORT"]),
        ("docker", CONTAINER, [(ITSELF, 8080)], ["127.0.0.1 alone", "--host 0.0.0.0"]),
        ("docker", CONTAINER, [("::1", 8080)], ["127.0.0.1 alone"]),
        (
            "docker",
            CONTAINER,
            [(EVERYWHERE, 8080)],
            ["listens there, but gives no answer", "startup_duration"],
        ),
        ("gradio", PROCESS, [(ITSELF, 40123)], ["listens there, but gives no answer"]),
    ],
)
def test_where_it_listens_says_what_to_do(
    sdk: Literal["gradio", "docker"], address: str, listeners: list[tuple[str, int]] | None, said: list[str]
) -> None:
    port = 8080 if sdk == "docker" else 7860
    spec = ReplicaSpec(
        space="a/b",
        space_id=1,
        sdk=sdk,
        artifact=Artifact(runtime="docker"),
        tier="cpu",
        port=port,
    )
    found = describe(spec, address, None if listeners is None else {Listener(*one) for one in listeners})
    assert all(words in found for words in said), found
    assert said or not found


def test_a_health_path_that_fails_is_named() -> None:
    spec = ReplicaSpec(
        space="a/b", space_id=1, sdk="docker", artifact=Artifact(runtime="docker"), tier="cpu", port=8080,
        health_path="/healthz",
    )  # fmt: skip
    found = describe(spec, CONTAINER, {Listener(EVERYWHERE, 8080)})
    assert found.startswith("It listens there, but GET /healthz gets no success.")
    assert ReplicaSpec.from_json(spec.to_json()) == spec


def test_listening_sockets_are_read_with_their_addresses() -> None:
    with ExitStack() as stack:
        wanted = set()
        for family, host in (
            (socket.AF_INET, ITSELF),
            (socket.AF_INET, EVERYWHERE),
            (socket.AF_INET6, "::1"),
        ):
            server = stack.enter_context(socket.socket(family))
            server.bind((host, 0))
            server.listen()
            wanted.add(Listener(host, server.getsockname()[1]))
        client = stack.enter_context(socket.create_connection((ITSELF, min(wanted, key=str).port)))
        mine = listening.of_processes([os.getpid()])
        assert wanted <= mine
        assert client.getsockname()[1] not in {one.port for one in mine}, (
            "it is connected, and does not listen"
        )
        assert wanted <= listening.in_network_of(os.getpid())
    assert not wanted & listening.of_processes([os.getpid()])
    assert listening.of_processes([]) == set()
    assert listening.of_processes([2**22]) == set()
    assert [one.is_loopback for one in sorted(wanted)] == [False, True, True]
