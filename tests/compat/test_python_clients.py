"""Programs: the gradio_client that came with each Gradio, and the newest, against a Space of that age."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.compat.conftest import AGES, NEWEST
from tests.platform_server import Platform

Journey = Callable[..., dict[str, Any]]
PAIRS = [
    (gradio, client)
    for gradio, (own, _) in AGES.items()
    for client in dict.fromkeys((own, NEWEST))
    if (gradio, client) != ("3.50.2", NEWEST)
]


#: This client cancels on its own side only: it never tells the server, ours or Gradio's own.
CANCELS_ALONE = {"0.11.0"}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("gradio", "client"), PAIRS)
def test_a_client_finds_everything_it_knows_from_gradio(
    process_platform: Platform, aged: Callable[[str], str], journey: Journey, gradio: str, client: str
) -> None:
    left_out = ["cancel"] if client in CANCELS_ALONE else []
    seen = journey(client, process_platform.run_url(aged(gradio)), *(f"-{step}" for step in left_out))
    assert "no such thing as unicorns" in seen.pop("error")
    progress = seen.pop("progress")
    assert progress["result"] == "p"
    assert progress["steps"] >= 2
    shouted = seen.pop("batch")
    assert [s.split()[0] for s in shouted] == [f"T{n}" for n in range(6)]
    assert max(int(s.split()[-1]) for s in shouted) > 1
    expected = {
        "plain": "hello Ada",
        "by_number": "hello Ada",
        "generator": ["x", "xx", "xxx", "xxxx"],
        "state": [1, 2],
        "own_state": 1,
        "position": {"ranks": [0, 1], "results": ["s0", "s1", "s2", "s3"]},
        "upload": 300_000,
        "cancel": "hello next",
        "unqueued": "hello Bob",
        "together": [f"hello {n}" for n in range(20)],
    }
    assert seen == {step: value for step, value in expected.items() if step not in left_out}
