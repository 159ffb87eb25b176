"""Builds of the docker runtime. The engine reads nothing that a Space wrote: a builder container does
(`hardware.runtimes.build_job`), behind a wall of its own, with an image store of its own."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import tarfile
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import docker.errors
from django.conf import settings
from docker.types import Mount

from hardware.runtimes import base_image, build_caches, build_job, dependencies, images, venvs
from hardware.runtimes.base import BuildFailed, BuildSpec, EngineUnavailable, Found, Log
from hardware.runtimes.images import code, transfer, tree

if TYPE_CHECKING:
    from hardware.runtimes.build_job import Engine
    from hardware.runtimes.dependencies import Dependencies

PYTHON = "/opt/venv/bin/python"
INSTALL = f"RUN uv pip install --python {PYTHON} --no-cache --compile-bytecode"
HOME = "/home/user"
PRELOAD = f"{PYTHON} /opt/launcher/spaceport_launcher/staging.py"
#: The secret with which preloads are allowed to load what is private or gated.
TOKEN = "HF_TOKEN"  # noqa: S105  # its name
#: Lines of buildah without information.
NOISE = re.compile(
    r"(\[\d+/\d+\] )?"
    r"(-->|COMMIT|Getting image source|Copying (blob|config)|Writing manifest|Storing signatures|time="
    r"|\[Warning\] one or more build args were not)"
)
#: BuildKit's line that names another reader of Dockerfiles.
SYNTAX = re.compile(r"#\s*syntax\s*=\s*(\S+)", re.IGNORECASE)
STEP = re.compile(r"(?:\[\d+/\d+\] )?STEP (\d+/\d+): ")
NO_IMAGE = re.compile(
    r"creating build container|initializing source|pinging container registry|no such image|short-name"
)
#: Labels of images: the store of layers and the shared image they were built with.
STORE, START = "spaceport.store", "spaceport.start"
ATTEMPTS = 3


def gradio_dockerfile(
    wanted: Dependencies, base: str, preload: tuple[str, ...] = (), hub: str = "", *, with_code: bool = True
) -> tuple[str, dict[str, str]]:
    """The Dockerfile of a Gradio Space upon image `base`, and the files beside it (in `inputs/`). `preload`
    comes from `hub`, where that is another than Hugging Face's. Without code: of its dependencies alone.

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
    options = "".join(
        f" --{name} /opt/inputs/{name}.txt"
        for name in ("overrides", "constraints")
        if f"{name}.txt" in inputs
    )
    lines.append("COPY inputs/ /opt/inputs/")
    copy = f"COPY --chown=10001:10001 code/ {HOME}/app/"
    if wanted.code:
        lines += [copy, f"WORKDIR {HOME}/app"]
    else:
        lines.append("WORKDIR /opt/inputs")
    if wanted.pre_requirements:
        lines.append(f"{INSTALL} -r /opt/inputs/pre-requirements.txt")
    what = [*wanted.named, *(["-r requirements.txt"] if wanted.requirements.strip() else [])]
    lines.append(f"{INSTALL}{options} {' '.join(what)}")
    endpoint = f"HF_ENDPOINT={shlex.quote(hub)} " if hub else ""
    secret = f"--mount=type=secret,id={TOKEN},required=false,uid=10001"
    lines += [f"RUN {secret} {endpoint}{PRELOAD} {entry}" for entry in preload]
    if with_code and not wanted.code:
        lines.append(copy)
    lines += [f"WORKDIR {HOME}/app", ""]
    return "\n".join(lines), inputs


def repository(installation: str, space_id: int) -> str:
    """The name of a Space's images, without their tag."""
    return f"spaceport/space-{installation}-{space_id}"


def build(engine: Engine, spec: BuildSpec, log: Log, found: Found | None = None) -> str:
    """Build the Space's image and answer its name.

    Raises:
        BuildFailed, EngineUnavailable
    """
    build_job.remove_left(engine)
    build_caches.remove_old(engine.client, engine.installation)
    build_caches.remove_old(engine.client, build_caches.SHARED)
    work = _Build(engine, spec, log, found)
    return work.gradio() if spec.sdk == "gradio" else work.docker()


class _Build:
    """One build."""

    def __init__(self, engine: Engine, spec: BuildSpec, log: Log, found: Found | None) -> None:
        self.engine, self.spec, self.found = engine, spec, found
        self.log = _BuildLog(log)
        self.secrets: dict[str, str] = {}
        self.name = f"{repository(engine.installation, spec.space_id)}:{spec.sha[:12]}"

    def gradio(self) -> str:
        """A Gradio Space: the Dockerfile is the platform's, so that nothing in it names an image. Spaces with
        the same dependencies share their layers; one that installs its own code shares with nobody."""
        dependencies.check_app_file(self.spec)
        wanted = dependencies.read(self.spec)
        base = base_image.ensure(self.engine.client, wanted.python_version, self.log)
        upon = {base: str(self.engine.client.images.get(base).id)}
        start = ""
        if wanted.gradio == f"gradio=={dependencies.DEFAULT_GRADIO}":
            # All Spaces that begin with the platform's own Gradio share that layer, whatever else they need.
            start = f"localhost/spaceport/gradio:{dependencies.DEFAULT_GRADIO}-{upon[base][-12:]}"
        if not wanted.code and not self.spec.preload:
            return self._upon_environment(wanted, upon, start)
        preload = self.spec.preload
        dockerfile, inputs = gradio_dockerfile(wanted, start or base, preload, settings.SPACEPORT_HF_ENDPOINT)
        self.secrets = {k: v for k, v in self.spec.secrets.items() if preload and k == TOKEN}
        subject = f"space-{self.spec.space_id}"
        store = build_caches.layers(self.engine, self.engine.installation, subject, upon)
        with _context(dockerfile, self.spec.source, "code/", inputs) as context:
            return self._run(context, store, upon, start)

    def _upon_environment(self, wanted: Dependencies, upon: dict[str, str], start: str) -> str:
        """The code, laid upon an image of its dependencies that all Spaces with the same ones share."""
        [(base, base_id)] = upon.items()
        environment = code.environment_name(wanted.key, base_id)
        for _ in range(ATTEMPTS):
            if images.exists(self.engine.client, environment):
                if self.found is not None:
                    self.found(environment)
                self.log("Dependencies are unchanged: nothing to install.")
            else:
                dockerfile, inputs = gradio_dockerfile(wanted, start or base, with_code=False)
                subject = f"environment-{wanted.key}"
                store = build_caches.layers(self.engine, build_caches.SHARED, subject, upon)
                labels = {code.KIND: code.ENVIRONMENT, STORE: store["Source"], START: start}
                with _context(dockerfile, None, "", inputs) as context:
                    self._run(context, store, upon, start, environment, labels)
            with contextlib.suppress(docker.errors.ImageNotFound):  # removed meanwhile
                code.add(self.engine.client, environment, self.spec.source, HOME, self.name, self._labels())
                self.log("The code is in place.")
                return self.name
        raise EngineUnavailable("Images of dependencies are removed as fast as they are made.")

    def docker(self) -> str:
        """A Docker Space: its own Dockerfile, as it is."""
        path = self.spec.source / "Dockerfile"
        if path.is_symlink() or not path.is_file():
            raise BuildFailed(
                "No app file: the Space has the docker SDK, so a plain file named Dockerfile was looked for "
                "at the top of the repository and not found."
            )
        base_image.ensure(self.engine.client, base_image.DEFAULT_PYTHON, self.log)
        upon = base_image.allowed(self.engine.client)
        store = build_caches.layers(
            self.engine, self.engine.installation, f"space-{self.spec.space_id}", upon
        )
        text = path.read_text("utf-8", errors="replace")
        if (syntax := _syntax(text)) is not None:
            self.log(f"`# syntax={syntax}` is ignored: Dockerfiles are read by buildah here.")
        self.secrets = self.spec.secrets
        with _context(text, self.spec.source, "", {}) as context:
            return self._run(context, store, upon)

    def _run(
        self, context: IO[bytes], store: Mount, upon: dict[str, str], start: str = "", name: str = "",
        labels: dict[str, str] | None = None,
    ) -> str:  # fmt: skip
        """Build and take in the result, as the Space's image where no other `name` is given. The builder
        first gets what it reports as lacking: `upon` (images of the engine), `start` (the image with the
        platform's own Gradio)."""
        mounts = [store, build_caches.bases(read_only=True)]
        needs = [image.removeprefix("sha256:") for image in upon.values()] + ([start] if start else [])
        known = self._known_layers(store, upon, start)
        job: dict[str, Any] = {
            "kind": "build", "store": "/store", "others": ["/bases"], "needs": needs,
            "options": [*self._options(), *self._given()],
            "known": known,
        }  # fmt: skip
        for _ in range(ATTEMPTS):
            context.seek(0)
            with build_job.Job(self.engine, mounts, self.spec.timeout_s, self.log) as work:
                result = work.run(job, context, secrets=self.secrets)
                if "reason" in result:
                    raise self.log.failure(self.spec.sdk, upon)
                if "missing" not in result:
                    name = name or self.name
                    labels = labels or {**self._labels(), STORE: store["Source"], START: start}
                    with contextlib.suppress(docker.errors.APIError):
                        transfer.take(self.engine.client, work, result, job["known"], name, labels)
                        return name
                    job["known"] = known[: len(upon)]  # an image that was built upon is gone from the engine
                    continue
            self._provide(result["missing"], upon, start)
        raise EngineUnavailable("The images that builds start from are removed as fast as they are made.")

    def _provide(self, missing: list[str], upon: dict[str, str], start: str) -> None:
        wanted = {name: image for name, image in upon.items() if image.removeprefix("sha256:") in missing}
        build_caches.load(self.engine, wanted, self.log)
        if start in missing:
            [base] = upon
            gradio = f"gradio=={dependencies.DEFAULT_GRADIO}"
            job = {
                "kind": "base", "store": "/bases", "others": [], "needs": [], "names": [start],
                "options": self._options(),
            }  # fmt: skip
            dockerfile = f"FROM {base}\nUSER 10001:10001\n{INSTALL} {gradio}\n"
            mounts = [build_caches.bases(read_only=False)]
            with (
                _context(dockerfile, None, "", {}) as context,
                build_job.Job(self.engine, mounts, self.spec.timeout_s, self.log) as work,
            ):
                if "reason" in work.run(job, context):
                    raise self.log.failure(self.spec.sdk, upon)

    @staticmethod
    def _options() -> list[str]:
        pull = "missing" if settings.SPACEPORT_BUILD_PULLS else "never"
        return [
            "--network=host",  # of the builder container
            "--retry=1", "--retry-delay=1s",
            f"--pull={pull}", "--layers", "--format=docker", "--force-rm", "--identity-label=false",
        ]  # fmt: skip

    def _given(self) -> list[str]:
        """Variables as build arguments, and where the builder finds secrets that steps may mount."""
        variables = self.spec.variables.items() if self.spec.sdk == "docker" else ()
        return [
            *(f"--build-arg={name}={value}" for name, value in variables),
            *(f"--secret=id={name},src={build_job.SECRETS}/{name}" for name in self.secrets),
        ]

    def _labels(self) -> dict[str, str]:
        return {
            "spaceport.installation": self.engine.installation,
            "spaceport.space": self.spec.space,
            "spaceport.sha": self.spec.sha,
        }

    def _known_layers(self, store: Mount, upon: dict[str, str], start: str) -> list[list[str]]:
        """Layers that the engine has and this build may build upon: those of its bases, and of earlier builds
        on the same store. Of other Spaces' images never the last one, their code."""
        images = self.engine.client.api.images
        found = [transfer.layers(self.engine.client, image) for image in upon.values()]
        likely = [(f"{STORE}={store['Source']}", None if self.spec.sdk == "docker" else -1)]
        if start:
            likely.append((f"{START}={start}", len(found[0]) + 1))  # the base and the platform's own Gradio
        for label, end in likely:
            for image in images(filters={"label": label}):
                with contextlib.suppress(docker.errors.ImageNotFound):  # it has gone since
                    layers = transfer.layers(self.engine.client, image["Id"])[:end]
                    if layers not in found:
                        found.append(layers)
        return found


def _syntax(dockerfile: str) -> str | None:
    """The value of its `# syntax=` line, which stands among the first comments."""
    for line in dockerfile.lstrip("\ufeff").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            break
        if (found := SYNTAX.fullmatch(line.strip())) is not None:
            return found[1]
    return None


class _BuildLog:
    """The build's log without noise, and the sentence about a failure."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._last = self._error = ""

    def __call__(self, line: str) -> None:
        if NOISE.match(line):
            return
        if line.startswith("Error: "):
            self._error = line.removeprefix("Error: ").replace("while running runtime: ", "").strip()
        elif (step := STEP.match(line)) is not None:
            line = f"Step {step[1]} : {line[step.end() :]}"
        else:
            self._last = line.strip()
        self._log(line)

    def failure(self, sdk: str, upon: dict[str, str]) -> BuildFailed:
        if sdk == "gradio":
            return BuildFailed(
                f"The dependencies could not be installed: {self._last} "
                "The build log names it; correct requirements.txt, packages.txt or sdk_version."
            )
        if NO_IMAGE.search(self._error):
            return BuildFailed(
                f"An image that the Dockerfile names could not be had: {self._error} "
                f"A Dockerfile may start from images of public registries, and here from {', '.join(upon)}."
            )
        return BuildFailed(f"The Dockerfile could not be built: {self._error} {self._last}".strip())


def _context(dockerfile: str, source: Path | None, prefix: str, inputs: dict[str, str]) -> IO[bytes]:
    """A tar of the repository below context/`prefix`, with this Dockerfile at its top. The files are root's
    of the build: a step's bind mount opens its source as its owner."""
    prefix = f"context/{prefix}"
    file = tempfile.TemporaryFile()  # noqa: SIM115  # the caller closes it
    with tree.writing(file) as tar:
        for name in dict.fromkeys(("context", prefix)):
            tree.add_folder(tar, name, 0)
        if source:
            tree.add(tar, source, prefix, build_job.BUILD_USER, without="context/Dockerfile")
        for name, text in {"Dockerfile": dockerfile, **{f"inputs/{k}": v for k, v in inputs.items()}}.items():
            entry = tarfile.TarInfo(f"context/{name}")
            entry.size, entry.mode = len(text.encode()), 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    file.seek(0)
    return file
