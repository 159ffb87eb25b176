"""The image every Space runs in: built from `docker/base/`, once on each node's engine."""

from __future__ import annotations

import configparser
import contextlib
import hashlib
import io
import os
import re
import tarfile
import threading
from pathlib import Path
from typing import Any

import docker
import docker.errors
from django.conf import settings

from hardware.runtimes.base import BuildFailed, EngineUnavailable, Log

FOLDER = Path(__file__).resolve().parent.parent / "docker" / "base"
LAUNCHER = FOLDER / "launcher"
DEFAULT_PYTHON = "3.11"
DEFAULT_FROM = "debian:bookworm-slim"
#: Labels of a base image: what it was made of (a digest), and from which image.
MADE_OF, MADE_FROM = "spaceport.made-of", "spaceport.made-from"
HOST_CERTIFICATES = Path("/usr/local/share/ca-certificates")

_building = threading.Lock()


def tag(python_version: str) -> str:
    """The image's name for this Python, "3.11"."""
    return f"{settings.SPACEPORT_BASE_IMAGE}:py{python_version}"


def pythons(client: docker.DockerClient) -> list[str]:
    """The Python versions there is a base image for, e.g. ["3.11"]."""
    found = []
    for image in client.images.list(name=settings.SPACEPORT_BASE_IMAGE):
        found += re.findall(r":py(\d+\.\d+)$", "\n".join(image.tags), re.MULTILINE)
    return sorted(found, key=lambda version: [int(part) for part in version.split(".")])


def ensure(client: docker.DockerClient, python_version: str, log: Log) -> str:
    """The base image for this Python (empty: the default), built now when it is the default one and missing,
    and built again when `docker/base/` has changed since: an upgraded platform needs its own launcher.

    Raises:
        BuildFailed: there is no image for this version; names the ones there are.
        EngineUnavailable: the base image itself cannot be built.
    """
    wanted = python_version or DEFAULT_PYTHON
    there = pythons(client)
    if wanted not in there and wanted != DEFAULT_PYTHON:
        raise BuildFailed(
            f"README.md asks for python_version {wanted}, but this platform has Python "
            f"{', '.join(there or [DEFAULT_PYTHON])}. "
            "Change the version, or ask its administrator to run `manage.py base_image --from python:"
            f"{wanted}-slim`."
        )
    with _building:
        labels = _labels(client, tag(wanted))
        if labels.get(MADE_OF) != _digest(_context()):
            log(f"Building the base image {tag(wanted)}, once on this node; this takes a minute.")
            build(client, labels.get(MADE_FROM, DEFAULT_FROM), log)
    return tag(wanted)


def _labels(client: docker.DockerClient, image: str) -> dict[str, str]:
    try:
        return dict(client.images.get(image).labels)
    except docker.errors.ImageNotFound:
        return {}


def _digest(context: io.BytesIO) -> str:
    return hashlib.sha256(context.getbuffer()).hexdigest()


def build(client: docker.DockerClient, base: str, log: Log) -> str:
    """Build the base image from image `base`; answers its name, which tells the Python in it.

    Raises:
        EngineUnavailable: with the builder's last words.
    """
    lines: list[str] = []
    image_id = ""
    context = _context()
    try:
        stream = client.api.build(
            fileobj=context, custom_context=True, rm=True, forcerm=True, decode=True,
            buildargs={"BASE_IMAGE": base}, labels={MADE_OF: _digest(context), MADE_FROM: base},
        )  # fmt: skip
        for part in stream:
            if "error" in part:
                raise EngineUnavailable(f"The base image could not be built: {part['error']}")
            image_id = part.get("aux", {}).get("ID", image_id)
            for line in part.get("stream", "").splitlines():
                if line.strip():
                    lines.append(line)
                    log(line)
        version = _run(client, image_id, "import sys; print('%d.%d' % sys.version_info[:2])")
    except docker.errors.DockerException as error:
        raise EngineUnavailable(f"The base image could not be built: {error}") from error
    client.images.get(image_id).tag(settings.SPACEPORT_BASE_IMAGE, f"py{version}")
    return tag(version)


def _run(client: docker.DockerClient, image: str, code: str) -> str:
    output: Any = client.containers.run(image, ["python", "-c", code], remove=True, network_mode="none")
    return bytes(output).decode().strip()


def _context() -> io.BytesIO:
    """The folder as a tar, with this machine's extra certificates and package index added."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(FOLDER.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.name != ".gitignore":
                tar.add(path, str(path.relative_to(FOLDER)), filter=_anonymous)
        for folder in ("certificates", "config"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for certificate in sorted(HOST_CERTIFICATES.rglob("*.crt")):
            tar.add(certificate, f"certificates/{certificate.name}", filter=_anonymous)
        for name, text in _index_configuration().items():
            entry = tarfile.TarInfo(f"config/{name}")
            entry.size, entry.mode = len(text), 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    buffer.seek(0)
    return buffer


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same bytes on every checkout: the engine's layer cache goes by them."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


def _index_configuration() -> dict[str, str]:
    """pip's and uv's configuration for the package index this machine uses, when that is an own one."""
    url = os.environ.get("PIP_INDEX_URL") or os.environ.get("UV_INDEX_URL") or ""
    if not url:
        parser = configparser.ConfigParser()
        with contextlib.suppress(configparser.Error, OSError):
            parser.read([os.environ.get("PIP_CONFIG_FILE") or "/etc/pip.conf"])
            url = parser.get("global", "index-url", fallback="")
    if not url.startswith(("http://", "https://")):
        return {}
    return {
        "pip.conf": f"[global]\nindex-url = {url}\n",
        "uv/uv.toml": f'[[index]]\nurl = "{url}"\ndefault = true\n',
    }
