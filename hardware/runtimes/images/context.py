"""Images of the platform's own, made from a folder of this repository by the node's engine."""

from __future__ import annotations

import configparser
import contextlib
import hashlib
import io
import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from hardware.runtimes.base import EngineUnavailable, Log

if TYPE_CHECKING:
    import docker

HOST_CERTIFICATES = Path("/usr/local/share/ca-certificates")


def digest(context: io.BytesIO) -> str:
    """A digest of an image's sources, for a label."""
    return hashlib.sha256(context.getbuffer()).hexdigest()


def build(
    client: docker.DockerClient,
    context: io.BytesIO,
    what: str,
    log: Log,
    *,
    arguments: dict[str, str],
    labels: dict[str, str],
) -> str:
    """Build it and answer the image's id. `what` is its name in messages, "base image".

    Raises:
        EngineUnavailable: with the builder's last words.
        docker.errors.DockerException
    """
    image_id = ""
    stream = client.api.build(
        fileobj=context, custom_context=True, rm=True, forcerm=True, decode=True,
        buildargs=arguments, labels=labels,
    )  # fmt: skip
    for part in stream:
        if "error" in part:
            raise EngineUnavailable(f"The {what} could not be built: {part['error']}")
        image_id = part.get("aux", {}).get("ID", image_id)
        for line in part.get("stream", "").splitlines():
            if line.strip():
                log(line)
    return image_id


def pack(folder: Path) -> io.BytesIO:
    """The folder as a tar, with this machine's extra certificates and package index added."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.name != ".gitignore":
                tar.add(path, str(path.relative_to(folder)), filter=_anonymous)
        for name in ("certificates", "config"):
            entry = tarfile.TarInfo(name)
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


def package_index() -> str:
    """The address of the package index that this machine uses, when that is an own one; else empty."""
    url = os.environ.get("PIP_INDEX_URL") or os.environ.get("UV_INDEX_URL") or ""
    if not url:
        parser = configparser.ConfigParser()
        with contextlib.suppress(configparser.Error, OSError):
            parser.read([os.environ.get("PIP_CONFIG_FILE") or "/etc/pip.conf"])
            url = parser.get("global", "index-url", fallback="")
    return url if url.startswith(("http://", "https://")) else ""


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same bytes on every checkout: the engine's layer cache goes by them."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


def _index_configuration() -> dict[str, str]:
    """pip's and uv's configuration for it."""
    url = package_index()
    if not url:
        return {}
    return {
        "pip.conf": f"[global]\nindex-url = {url}\n",
        "uv/uv.toml": f'[[index]]\nurl = "{url}"\ndefault = true\n',
    }
