"""The base image follows what it is made of."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import docker
import pytest

from hardware.runtimes import base_image
from hardware.runtimes.base import BuildFailed, ImageMissing
from tests.platform_server import engine_answers

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.docker


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    if not engine_answers():
        pytest.skip("no Docker engine answers")
    client = docker.from_env()
    yield client
    client.close()


def test_a_changed_launcher_is_built_in_before_the_next_space(
    client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = base_image.ensure(client, "", print)
    built: list[str] = []
    monkeypatch.setattr(base_image, "build", lambda _client, base, _log: built.append(base))
    assert base_image.ensure(client, "", print) == image
    assert built == []
    monkeypatch.setattr(base_image, "_context", lambda: io.BytesIO(b"another launcher"))
    assert base_image.ensure(client, "3.11", print) == image
    assert built == ["debian:bookworm-slim"], "from the image it was made from before"


def test_a_python_there_is_no_image_for_is_built_from_its_own_image(
    client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    monkeypatch.setattr(base_image, "build", lambda _client, base, _log: built.append(base))
    assert base_image.ensure(client, "3.98", print).endswith(":py3.98")
    assert built == ["python:3.98-slim"]


def test_a_python_that_cannot_be_had_names_those_there_are(client: docker.DockerClient) -> None:
    base_image.ensure(client, "", print)
    with pytest.raises(BuildFailed, match=r"has Python .*3\.11.*python:3\.98-slim cannot be had"):
        base_image.ensure(client, "3.98", print)


def test_an_engine_without_an_image_to_make_it_from_is_told_the_command_that_mends_that(
    client: docker.DockerClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SPACEPORT_BASE_IMAGE = "spaceport/none"
    monkeypatch.setattr(base_image, "DEFAULT_FROM", "registry.invalid/debian:none")
    said = base_image.lacks(client)
    assert "spaceport/none:py3.11, cannot be made" in said
    assert "`manage.py base_image --from IMAGE`" in said
    with pytest.raises(ImageMissing, match=r"Run `manage\.py base_image"):
        base_image.ensure(client, "", print)


def test_an_engine_with_the_base_image_lacks_nothing(client: docker.DockerClient) -> None:
    base_image.ensure(client, "", print)
    assert base_image.lacks(client) == ""
