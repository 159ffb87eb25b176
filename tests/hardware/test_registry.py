"""Images by a registry, Debian's own: pushed where they were built, pulled by digest on another node."""

from __future__ import annotations

import io
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import docker
import docker.errors
import pytest
import requests

from hardware.runtimes import docker_build
from hardware.runtimes.base import Artifact, ReplicaSpec
from hardware.runtimes.images import registry
from infra.folders import installation
from tests.hardware.engine import docker_runtime
from tests.platform_server import free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.docker

CONFIG = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a registry serves."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("NO REGISTRY HERE: install Debian's docker-registry to test that images travel")
    folder, port = tmp_path_factory.mktemp("registry"), free_port()
    config = folder / "config.yml"
    config.write_text(CONFIG.format(folder=folder, port=port))
    process = subprocess.Popen([program, "serve", config])

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(listens, "the registry listens")
    yield f"127.0.0.1:{port}/spaces"
    process.terminate()
    process.wait()


@pytest.fixture
def built(tmp_path: Path) -> Iterator[ReplicaSpec]:
    """A Space whose image, of one file, is in the engine."""
    client = docker_runtime(tmp_path / "builder").client
    name = docker_build.repository(installation(tmp_path / "builder"), 1)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(str(tmp_path).strip("/")))
    api = client.api
    api.import_image_from_data(content.getvalue(), repository=name, tag="abc")
    artifact = Artifact(runtime="docker", image=f"{name}:abc")
    yield ReplicaSpec(space="alice/demo", space_id=1, sdk="docker", artifact=artifact, tier="cpu")
    for home in ("builder", "node"):
        with suppress(docker.errors.ImageNotFound):
            client.images.remove(f"{docker_build.repository(installation(tmp_path / home), 1)}:abc")


def test_what_is_built_here_is_pulled_there_by_its_digest(
    there: str, built: ReplicaSpec, tmp_path: Path
) -> None:
    with closing(docker.from_env()) as client:
        known = client.images.get(built.artifact.image).attrs["RootFS"]
        pushed = registry.pushed(there, built.artifact)
        name = built.artifact.image.partition("/")[2].partition(":")[0]
        assert pushed.pull.startswith(f"{there}/{name}@sha256:")
        spec = replace(built, artifact=pushed)
        assert registry.ensured(tmp_path / "node", spec).image == built.artifact.image, "it is here"

        here = client.images.get(built.artifact.image)
        assert (here.tags, here.attrs["RepoDigests"]) == ([built.artifact.image], []), "it has no other name"
        client.images.remove(built.artifact.image)
        brought = registry.ensured(tmp_path / "node", spec)
        own = docker_build.repository(installation(tmp_path / "node"), 1)
        assert brought.image == f"{own}:abc", "it goes with the other images of the Space"
        own_image = client.images.get(brought.image)
        assert own_image.attrs["RootFS"] == known
        assert (own_image.tags, own_image.attrs["RepoDigests"]) == ([brought.image], [])
        registry.forget(pushed.pull)
        assert registry.ensured(tmp_path / "node", spec) == brought, "it stays"

        repository, _, digest = pushed.pull.partition("@")
        path = repository.partition("/")[2]
        host = there.partition("/")[0]
        assert requests.get(f"http://{host}/v2/{path}/manifests/{digest}", timeout=10).status_code == 404

        client.images.remove(brought.image)
        unknown = replace(pushed, pull=f"{repository}@sha256:{'0' * 64}")
        missing = registry.ensured(tmp_path / "node", replace(built, artifact=unknown))
        with pytest.raises(docker.errors.ImageNotFound):
            client.images.get(missing.image)


def test_a_registry_that_is_away_is_said(built: ReplicaSpec) -> None:
    with pytest.raises(registry.RegistryFailed, match="could not be pushed"):
        registry.pushed(f"127.0.0.1:{free_port()}/spaces", built.artifact)


def test_an_order_names_a_registry_only_where_there_is_one(built: ReplicaSpec) -> None:
    assert "pull" not in built.to_json()["artifact"]
    spec = replace(built, artifact=replace(built.artifact, pull="r/x@sha256:1"))
    assert ReplicaSpec.from_json(spec.to_json()) == spec
