"""What comes out of a builder is not believed: one that was taken over gets nobody else's layers."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from hardware.runtimes.images.transfer import Untrue, take

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE, PRIVATE = "sha256:" + "a" * 64, "sha256:" + "b" * 64
OWN = b"a layer"


class Builder:
    """A builder container that answers what it likes."""

    def __init__(self, diff_ids: list[str]) -> None:
        self.config = json.dumps({"rootfs": {"diff_ids": diff_ids}, "config": {}}).encode()
        self.digest = hashlib.sha256(self.config).hexdigest()

    def read(self, _path: str) -> bytes:
        return self.config

    @contextlib.contextmanager
    def stream(self, _path: str) -> Iterator[tuple[int, Iterator[bytes]]]:
        yield len(OWN), iter([OWN])


class Engine:
    """An engine that reads all it is sent, and keeps nothing."""

    def __init__(self) -> None:
        self.api = self
        self.sent = b""

    def load_image(self, parts: Iterator[bytes]) -> None:
        self.sent = b"".join(parts)


@pytest.mark.parametrize(
    ("diff_ids", "omitted", "reason"),
    [
        ([BASE, PRIVATE], 2, "not given"),
        ([PRIVATE], 1, "not given"),
        ([BASE, PRIVATE], 1, "does not fit its digest"),
    ],
)
def test_layers_that_a_build_was_not_given_are_refused(
    diff_ids: list[str], omitted: int, reason: str
) -> None:
    builder: Any = Builder(diff_ids)
    engine: Any = Engine()
    result = {"config": builder.digest, "omitted": omitted, "diff_ids": diff_ids}
    with pytest.raises(Untrue, match=reason):
        take(engine, builder, result, [[BASE, "sha256:" + "c" * 64]], "space:1", {})
    assert engine.sent == b""


def test_a_configuration_other_than_its_digest_is_refused() -> None:
    builder: Any = Builder([BASE])
    engine: Any = Engine()
    with pytest.raises(Untrue, match="configuration"):
        take(engine, builder, {"config": "d" * 64, "omitted": 1, "diff_ids": [BASE]}, [[BASE]], "space:1", {})
