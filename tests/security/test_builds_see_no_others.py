"""A build sees the images that the operator allows, and its own layers: nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hardware.runtimes.base import BuildFailed
from tests.security.builds import BASE, build, build_each

if TYPE_CHECKING:
    from pathlib import Path

    from hardware.runtimes.base import Artifact
    from hardware.runtimes.docker import DockerRuntime

pytestmark = pytest.mark.docker

SECRET = "PRIVATE-FILE-CONTENT"


@pytest.fixture(scope="module")
def private(runtime: DockerRuntime, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Another owner's image, on the same engine."""
    folder = tmp_path_factory.mktemp("private")
    return build(runtime, folder, BASE + f"USER root\nRUN echo {SECRET} > /private\n", space_id=11)[0]


def test_another_spaces_image_cannot_be_named(
    runtime: DockerRuntime, private: Artifact, tmp_path: Path
) -> None:
    image = private.image
    whole = str(runtime.client.images.get(image).id).removeprefix("sha256:")
    names = [
        whole[:5], whole[:3], whole, f"sha256:{whole}", f"x@sha256:{whole}", image, f"docker.io/{image}",
        f"index.docker.io/{image}", f"localhost/{image}", f'docker.io/space""port/{image.partition("/")[2]}',
    ]  # fmt: skip
    [plain, *others] = [
        *(f"FROM {name}\nUSER root\nRUN cat /private\n" for name in names),
        *(
            f"{BASE}USER root\n{line}\nRUN cat /x\n"
            for line in (
                f"COPY --from={whole[:5]} /private /x",
                f"RUN --mount=type=bind,from={image},target=/m cat /m/*",
            )
        ),
    ]
    with pytest.raises(BuildFailed, match="could not be had") as failed:
        build(runtime, tmp_path, plain, space_id=12)
    assert SECRET not in str(failed.value)
    for text, (is_built, log) in zip(others, build_each(runtime, tmp_path, others, space_id=12), strict=True):
        assert not is_built, text
        assert SECRET not in log, text


def test_what_one_space_caches_another_does_not_get(runtime: DockerRuntime, tmp_path: Path) -> None:
    lines = (
        BASE + "USER root\n"
        "RUN --mount=type=cache,target=/c echo was: $(cat /c/x 2>&1); echo poison > /c/x\n"
        "RUN cat /proc/sys/kernel/random/uuid > /once && cat /once\n"
    )
    _, first = build(runtime, tmp_path, lines, space_id=21)
    _, other = build(runtime, tmp_path, lines, space_id=22)
    once = first.splitlines()[-1]
    assert len(once) == 36
    assert "was: poison" not in other
    assert once not in other, "the other ran the step itself"
    _, again = build(runtime, tmp_path, lines, space_id=21)
    assert len(again.splitlines()[-1]) != 36, "its own next build did not"


def test_secrets_of_the_platform_are_in_no_layer(
    runtime: DockerRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPACEPORT_SECRET_KEY", "CANARY-PLATFORM-SECRET")
    monkeypatch.setenv("HF_TOKEN", "CANARY-PLATFORM-SECRET")
    text = "FROM scratch\nCOPY --from=0 /seen /seen\n"
    stage = BASE + "USER root\nRUN env > /seen; cat /proc/*/environ >> /seen 2>/dev/null; true\n"
    artifact, log = build(runtime, tmp_path, stage + text, space_id=31)
    saved = b"".join(runtime.client.images.get(artifact.image).save())
    assert b"PATH=/" in saved, "the environment of the step was kept"
    assert b"CANARY-PLATFORM-SECRET" not in saved
    assert "CANARY-PLATFORM-SECRET" not in log


def test_ordinary_dockerfiles_build(runtime: DockerRuntime, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    text = """# syntax=docker/dockerfile:1
ARG BASE=spaceport/base
FROM ${BASE}:py3.11 AS first
USER root
RUN useradd --create-home bob && chown bob:bob /opt && su bob -c 'echo two > /opt/two'
RUN <<EOF
echo three > /opt/three
EOF
FROM debian:bookworm-slim AS second
COPY --from=first /opt/two /opt/three /all/
FROM scratch
COPY --from=1 /all /all
COPY --chmod=600 a.txt /all/
ENTRYPOINT ["/all/none"]
"""
    artifact, log = build(runtime, tmp_path, text, space_id=41)
    image = runtime.client.images.get(artifact.image)
    assert image.attrs["Config"]["Entrypoint"] == ["/all/none"]
    assert image.labels["spaceport.space"] == "owner41/space"
    assert "Step 1/4 : FROM spaceport/base:py3.11 AS first" in log
    saved = b"".join(image.save())
    assert b"two\n" in saved
    assert b"three\n" in saved
