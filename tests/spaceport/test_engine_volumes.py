"""Volumes of the container engine in a backup: their files, with owners and rights, and their labels."""

from __future__ import annotations

import io
import secrets
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import docker.errors
import pytest

from spaceport.keeping import engine_volumes, secret_key
from spaceport.keeping.manifest import Manifest, Refused
from spaceport.keeping.restore import Restore
from tests.platform_server import engine_answers

pytestmark = pytest.mark.docker


@dataclass
class Volumes:
    """A Space's /data, with files of its user, its cache, and a named volume, in an engine."""

    client: docker.DockerClient
    installation: str

    def name(self, what: str) -> str:
        return f"spaceport-{self.installation}-{what}"

    def members(self, what: str) -> dict[str, tuple[int, int, int, bytes]]:
        """Owner, group, mode and content by name."""
        with engine_volumes._mounted(self.client, self.name(what)) as container:
            packed = b"".join(container.get_archive("/data")[0])
        found = {}
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            for one in tar.getmembers():
                file = tar.extractfile(one)
                found[one.name] = (one.uid, one.gid, one.mode & 0o7777, file.read() if file else b"")
        return found


@pytest.fixture
def volumes() -> Iterator[Volumes]:
    if not engine_answers():
        pytest.skip("no Docker engine answers")
    client = docker.from_env()
    found = Volumes(client, secrets.token_hex(4))
    label = {"spaceport.installation": found.installation}
    for what, more in (("data-1", {}), ("cache-1", {}), ("volume-7", {"spaceport.volume": "7"})):
        client.volumes.create(found.name(what), labels={**label, **more})
    with engine_volumes._mounted(client, found.name("data-1")) as container:
        container.put_archive("/", _files())
    yield found
    for volume in client.volumes.list(filters={"label": f"spaceport.installation={found.installation}"}):
        volume.remove()
    client.close()


def _files(file: str = "data/note") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, mode, content in (("data", 0o777, None), (file, 0o640, b"kept")):
            info = tarfile.TarInfo(name)
            info.uid = info.gid = 10001
            info.mode, info.type = mode, tarfile.REGTYPE if content else tarfile.DIRTYPE
            info.size = len(content or b"")
            tar.addfile(info, io.BytesIO(content or b""))
    return packed.getvalue()


def test_volumes_come_back_as_they_were(volumes: Volumes, tmp_path: Path) -> None:
    before = volumes.members("data-1")
    assert before["data/note"] == (10001, 10001, 0o640, b"kept")
    said: list[str] = []
    saved = engine_volumes.save(volumes.client, volumes.installation, tmp_path, said.append)
    names = {about["name"] for _, about in saved}
    assert names == {volumes.name("data-1"), volumes.name("volume-7")}
    assert engine_volumes.size_of(volumes.client, names) >= 4
    volumes.client.volumes.get(volumes.name("volume-7")).remove()
    with engine_volumes._mounted(volumes.client, volumes.name("data-1")) as container:
        container.put_archive("/", _files("data/later"))
    numbers = engine_volumes.load(volumes.client, tmp_path, [about for _, about in saved], said.append)
    assert numbers == [7]
    assert volumes.members("data-1") == before
    labels = volumes.client.volumes.get(volumes.name("volume-7")).attrs["Labels"]
    assert labels == {"spaceport.installation": volumes.installation, "spaceport.volume": "7"}
    assert not [tag for image in volumes.client.images.list("spaceport/nothing") for tag in image.tags]


def test_volumes_that_are_there_and_containers_that_run_are_not_run_over(
    volumes: Volumes, tmp_path: Path
) -> None:
    name = volumes.name("data-1")
    manifest = Manifest(
        version="0", made_at="", installation=volumes.installation, migrations={}, secrets={}, home_bytes=0,
        key_check=secret_key.check("key", volumes.installation), redis_db=0,
        engine_volumes=[{"file": "x.tar", "name": name, "labels": {}}],
    )  # fmt: skip
    manifest.write(tmp_path)

    def restoring(*, replace: bool = False) -> Restore:
        return Restore(
            source=tmp_path, home=tmp_path / "new", environ={"SPACEPORT_SECRET_KEY": "key"},
            report=lambda _: None, replace=replace,
        )  # fmt: skip

    with pytest.raises(Refused, match=f"has {name} already"):
        restoring().run()
    assert restoring(replace=True)._engine(manifest) is not None
    label = {"spaceport.installation": volumes.installation}
    runs = volumes.client.containers.run(
        _an_image(volumes.client), entrypoint=["sleep", "600"], labels=label, detach=True, network_mode="none"
    )
    try:
        with pytest.raises(Refused, match="runs in this container engine"):
            restoring(replace=True).run()
    finally:
        runs.remove(force=True)
    assert not (tmp_path / "new").exists()


def _an_image(client: docker.DockerClient) -> str:
    """Any that has a shell's tools, as the platform's base image has."""
    for image in client.images.list():
        if any(tag.startswith(("spaceport/base", "debian", "python")) for tag in image.tags):
            return str(image.id)
    pytest.skip("the base image has not been built yet")
