"""Builds of the docker runtime. The context is a tar made here, its Dockerfile in it: the engine and its
client never open a path that a Space has chosen."""

from __future__ import annotations

import contextlib
import io
import os
import re
import socket
import tarfile
import tempfile
import threading
from http.client import HTTPException
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import docker
import docker.errors
import docker.utils
import requests
import urllib3.exceptions
from django.conf import settings

from hardware import base_image
from hardware.runtimes import dependencies, dockerfile_policy, venvs
from hardware.runtimes.base import BuildFailed, BuildSpec, EngineUnavailable, Log

if TYPE_CHECKING:
    from hardware.runtimes.dependencies import Dependencies

PYTHON = "/opt/venv/bin/python"
MEMORY_BYTES = 8 * 1024**3
#: What a connection that was cut can raise in its reader.
BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError)
SKIP = {".git"}
NOISE = (" ---> ", "Removing intermediate", "Successfully tagged")
COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def gradio_dockerfile(wanted: Dependencies, base: str) -> tuple[str, dict[str, str]]:
    """The Dockerfile of a Gradio Space, and the files beside it (in `inputs/`).

    From what changes least to what changes most: each step is a layer that the next push finds made.
    """
    inputs = {**venvs.input_files(wanted), "requirements.txt": wanted.requirements}
    lines = [f"FROM {base}"]
    if wanted.packages:
        names = " ".join(wanted.packages)
        lines += [
            "USER 0:0",
            f"RUN apt-get update && apt-get install -y --no-install-recommends {names}"
            " && rm -rf /var/lib/apt/lists/*",
        ]
    lines.append("USER 10001:10001")
    install = f"RUN uv pip install --python {PYTHON} --no-cache --compile-bytecode"
    options = "".join(
        f" --{name} /opt/inputs/{name}.txt"
        for name in ("overrides", "constraints")
        if f"{name}.txt" in inputs
    )
    if wanted.gradio and not wanted.pre_requirements and not wanted.constraints:
        # A layer that all Spaces with this Gradio share, whatever else they need.
        lines.append(f"{install} {wanted.gradio}")
    lines.append("COPY inputs/ /opt/inputs/")
    code = "COPY --chown=10001:10001 code/ /opt/app/"
    if wanted.code:
        lines += [code, "WORKDIR /opt/app"]
    else:
        lines.append("WORKDIR /opt/inputs")
    if wanted.pre_requirements:
        lines.append(f"{install} -r /opt/inputs/pre-requirements.txt")
    what = (f" {wanted.gradio}" if wanted.gradio else "") + (
        " -r requirements.txt" if wanted.requirements.strip() else ""
    )
    lines.append(f"{install}{options}{what}")
    if not wanted.code:
        lines.append(code)
    lines += ["WORKDIR /home/user", ""]
    return "\n".join(lines), inputs


def build(client: docker.DockerClient, spec: BuildSpec, installation: str, network: str, log: Log) -> str:
    """Build the Space's image and answer its name.

    Raises:
        BuildFailed, EngineUnavailable
    """
    if spec.sdk == "gradio":
        dependencies.check_app_file(spec)
        wanted = dependencies.read(spec)
        base = base_image.ensure(client, wanted.python_version, log)
        dockerfile, inputs = gradio_dockerfile(wanted, base)
        context = _context(dockerfile, spec.source, "code/", inputs)
    else:
        context = _context(_own_dockerfile(client, spec, log), spec.source, "", {})
    name = f"spaceport/space-{installation}-{spec.space_id}:{spec.sha[:12]}"
    with context:
        _Build(client, spec, log).run(context, name, installation, network)
    return name


def _own_dockerfile(client: docker.DockerClient, spec: BuildSpec, log: Log) -> str:
    path = spec.source / "Dockerfile"
    if path.is_symlink() or not path.is_file():
        raise BuildFailed(
            "No app file: the Space has the docker SDK, so a plain file named Dockerfile was looked for at "
            "the top of the repository and not found."
        )
    text = path.read_text("utf-8", errors="replace")
    dockerfile_policy.check(text, base_image=settings.SPACEPORT_BASE_IMAGE)
    for instruction in dockerfile_policy.parse(text):
        image = instruction.words[0] if instruction.name == "FROM" and instruction.words else ""
        if image == base_image.tag(base_image.DEFAULT_PYTHON):
            base_image.ensure(client, base_image.DEFAULT_PYTHON, log)
    return text


def _context(dockerfile: str, source: Path, prefix: str, inputs: dict[str, str]) -> IO[bytes]:
    """A tar of the repository below `prefix`, with this Dockerfile at its top. Links stay links."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  # the caller closes it
    with tarfile.open(fileobj=file, mode="w") as tar:
        if prefix:
            folder = tarfile.TarInfo(prefix)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        for parent, folders, names in os.walk(source):
            folders[:] = sorted(set(folders) - SKIP)
            for name in sorted([*folders, *names]):
                path = Path(parent) / name
                inside = str(path.relative_to(source))
                if not prefix and inside == "Dockerfile":
                    continue
                if path.is_symlink() or path.is_dir() or path.is_file():
                    tar.add(path, prefix + inside, recursive=False, filter=_plain)
        for name, text in {"Dockerfile": dockerfile, **{f"inputs/{k}": v for k, v in inputs.items()}}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    file.seek(0)
    return file


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """No owner, no time, no special bits: the layer cache goes by contents, and nothing is set-uid."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry


class _Build(docker.APIClient):
    """One build on a connection of its own: the engine stops a build whose connection is closed."""

    def __init__(self, client: docker.DockerClient, spec: BuildSpec, log: Log) -> None:
        super().__init__(
            **docker.utils.kwargs_from_env(),
            version=client.api.api_version,
            timeout=round(spec.timeout_s) + 60,
        )
        self._spec, self._log = spec, log
        self._last = ""
        self._response: requests.Response | None = None
        self._is_late = False

    def _post(self, url: str, **options: Any) -> requests.Response:
        self._response = super()._post(url, **options)  # type: ignore[misc]  # not in its stubs
        return self._response

    def run(self, context: IO[bytes], name: str, installation: str, network: str) -> None:
        timer = threading.Timer(self._spec.timeout_s, self._too_late)
        timer.start()
        try:
            self._follow(context, name, installation, network)
        except (*BROKEN, docker.errors.DockerException) as error:
            if not self._is_late:
                if isinstance(error, docker.errors.APIError) and error.is_client_error():
                    raise BuildFailed(f"The build was refused: {error.explanation}") from error
                raise EngineUnavailable(f"The container engine ended the build: {error}") from error
        finally:
            timer.cancel()
            self._hang_up()
            if self._response is not None:
                self._response.close()
        if self._is_late:
            raise BuildFailed(f"The build took longer than {self._spec.timeout_s:.0f} s and was stopped.")

    def _follow(self, context: IO[bytes], name: str, installation: str, network: str) -> None:
        parts = self.build(
            fileobj=context, custom_context=True, dockerfile="Dockerfile", tag=name, decode=True,
            rm=True, forcerm=True, network_mode=network,
            container_limits={"memory": MEMORY_BYTES, "memswap": MEMORY_BYTES},
            labels={
                "spaceport.installation": installation,
                "spaceport.space": self._spec.space,
                "spaceport.sha": self._spec.sha,
            },
        )  # fmt: skip
        rest = ""
        for part in parts:
            if "error" in part:
                self._say([rest])
                raise BuildFailed(self._failure(part))
            # Output comes in pieces of any length, those of stderr wrapped in colours of the engine's own.
            *lines, rest = _split(rest + part.get("stream", part.get("status", "")))
            self._say(lines)
        self._say([rest])

    def _say(self, lines: list[str]) -> None:
        for line in lines:
            if line.strip() and not line.startswith(NOISE):
                self._last = line if not line.startswith("Step ") else self._last
                self._log(line.rstrip())

    def _failure(self, part: dict[str, Any]) -> str:
        self._log(part["error"])
        if part.get("errorDetail", {}).get("code") == 137:  # killed
            return "The build was killed: it used more than 8 GB of memory."
        if self._spec.sdk == "gradio":
            return (
                f"The dependencies could not be installed: {self._last.strip()} "
                "The build log tells which one; correct requirements.txt, packages.txt or sdk_version."
            )
        return f"The Dockerfile could not be built: {part['error']} {self._last.strip()}".strip()

    def _too_late(self) -> None:
        self._is_late = True
        self._hang_up()

    def _hang_up(self) -> None:
        """Cut the connection, under a reader too: nothing else makes the engine give up."""
        if self._response is not None:
            with contextlib.suppress(OSError, AttributeError, docker.errors.DockerException, ValueError):
                raw: Any = self._response.raw
                connection = raw._fp.fp.raw._sock
                connection.shutdown(socket.SHUT_RDWR)


def _split(text: str) -> list[str]:
    return COLOURS.sub("", text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
