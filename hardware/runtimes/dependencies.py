"""A Gradio Space's dependencies, read from its files: the same for both runtimes."""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from django.conf import settings

from hardware.runtimes.base import BuildFailed, BuildSpec

if TYPE_CHECKING:
    from pathlib import Path

#: The Gradio a Space gets when neither README.md nor requirements.txt names one.
DEFAULT_GRADIO = "6.31.0"
OLDEST_GRADIO = 3
#: Installed with every Gradio, as on the Hub: without `websockets` uvicorn serves none of an app's own, and
#: apps import `spaces` without naming it. It also reloads code (`spaces.building.hot_reload`).
BESIDE = ("spaces", "websockets")

#: What old releases need but did not know when they were made: (below this major version, constraints).
COMPATIBILITY = (
    (4, ("huggingface_hub<0.26", "pydantic<2.11", "httpx<0.28", "numpy<2", "starlette<0.38")),
    (5, ("huggingface_hub<0.26", "pydantic<2.11", "starlette<0.39", "fastapi<0.113", "jinja2<3.2")),
    (6, ("huggingface_hub<1",)),
)  # fmt: skip

#: The oldest Python that the launcher runs on.
OLDEST_PYTHON = (3, 10)

_PYTHON = re.compile(r"(3)\.([0-9]{1,2})(?:\.[0-9]{1,2})?")
_VERSION = re.compile(r"\d+(\.\d+){0,3}([ab]|rc)?\d*")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]*(:[a-z0-9-]+)?(=[A-Za-z0-9.+:~-]+)?")
#: Owners write the matched text, so these patterns never backtrack.
_GRADIO = r"^gradio[^\S\n]*(?:\[[^\]\n]*\][^\S\n]*)?"
_GRADIO_LINE = re.compile(rf"{_GRADIO}([<>=!~@;#]|$)", re.IGNORECASE | re.MULTILINE)
_GRADIO_PIN = re.compile(rf"{_GRADIO}==[^\S\n]*(\d[\w.]{{0,40}})", re.IGNORECASE | re.MULTILINE)
_URL = re.compile(r"(?<!file):/{2,}([^/\s?#;,'\"]*)", re.IGNORECASE)
_LOCAL_LINE = re.compile(r"(-r|-c|-e|--requirement|--constraint|--editable|\.|/|[^#\s]*file:|[^#:]*\.whl\b)")


@dataclass(frozen=True, kw_only=True)
class Dependencies:
    """Everything that has to be installed before the code: equal ones are installed once."""

    python_version: str
    #: A requirement like "gradio==6.31.0"; empty where requirements.txt names its own.
    gradio: str
    #: README's `sdk_version` was given and wins over the Gradio in requirements.txt.
    overrides: bool
    constraints: tuple[str, ...]
    pre_requirements: str
    requirements: str
    packages: tuple[str, ...]
    #: The commit, where requirements.txt points at files of the repository; else empty.
    code: str
    beside: tuple[str, ...] = BESIDE

    @property
    def named(self) -> list[str]:
        """The requirements installed besides those of requirements.txt."""
        return [*([self.gradio] if self.gradio else []), *self.beside]

    @property
    def key(self) -> str:
        """A name for this set; equal sets have equal names."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:24]


def read(spec: BuildSpec) -> Dependencies:
    """The dependencies of this Space.

    Raises:
        BuildFailed: a file or version that cannot be used, by name and line.
    """
    requirements = _text(spec.source, "requirements.txt")
    pre_requirements = _text(spec.source, "pre-requirements.txt")
    for name, text in (("pre-requirements.txt", pre_requirements), ("requirements.txt", requirements)):
        _check_hosts(name, text)
    gradio = ""
    if spec.sdk_version:
        if not _VERSION.fullmatch(spec.sdk_version) or int(spec.sdk_version.split(".")[0]) < OLDEST_GRADIO:
            raise BuildFailed(
                f"README.md asks for sdk_version {spec.sdk_version!r}, which is no Gradio version that runs "
                f"here. Name one from {OLDEST_GRADIO}.0 on, e.g. {DEFAULT_GRADIO}."
            )
        gradio = f"gradio=={spec.sdk_version}"
    elif not _GRADIO_LINE.search(requirements):
        gradio = f"gradio=={DEFAULT_GRADIO}"
    local = any(_LOCAL_LINE.match(line.lstrip()) for line in requirements.splitlines())
    return Dependencies(
        python_version=_python(spec.python_version),
        gradio=gradio,
        overrides=bool(spec.sdk_version),
        constraints=_constraints(gradio or _pinned(requirements)),
        pre_requirements=pre_requirements,
        requirements=requirements,
        packages=_packages(_text(spec.source, "packages.txt")),
        code=spec.sha if local else "",
    )


def _python(version: str) -> str:
    """ "3.12" of "3.12.4": any Python with these two numbers serves."""
    if not version:
        return ""
    found = _PYTHON.fullmatch(version)
    if not found or (int(found[1]), int(found[2])) < OLDEST_PYTHON:
        raise BuildFailed(
            f"README.md asks for python_version {version[:20]}, on which Spaces do not run. Name one from "
            f"{'.'.join(map(str, OLDEST_PYTHON))} on, e.g. 3.11."
        )
    return f"{found[1]}.{found[2]}"


def check_app_file(spec: BuildSpec) -> None:
    """The app's file is there.

    Raises:
        BuildFailed: names the file that was expected and those there are.
    """
    if (spec.source / spec.app_file).is_file():
        return
    scripts = sorted(path.name for path in spec.source.glob("*.py"))[:10]
    there = f"The repository has {', '.join(scripts)}" if scripts else "The repository has no .py file"
    raise BuildFailed(
        f"No app file: looked for {spec.app_file} and did not find it. {there}. "
        "Add it, or name yours with `app_file:` in README.md."
    )


def _check_hosts(name: str, text: str) -> None:
    """Every address in it is of a host that the operator allows. Files that it includes, and what packages
    name themselves, are not looked into."""
    if not (allowed := [host.lower().strip(".") for host in settings.SPACEPORT_PACKAGE_HOSTS]):
        return
    number = 0
    for line in re.split(r"(?<!\\)\n", text.replace("\r\n", "\n")):
        number += line.count("\n") + 1
        written = re.sub(r"\\\n", "", line)
        code = re.split(r"(?:^|\s)#", written, maxsplit=1)[0]
        if "${" in code:
            raise BuildFailed(
                f"{name}, line {number}: variables in addresses are not allowed on this platform. Write the "
                "address out."
            )
        for host in map(_host, _URL.findall(code)):
            if host and not any(host == one or host.endswith(f".{one}") for one in allowed):
                raise BuildFailed(
                    f"{name}, line {number}: this platform installs nothing from {host[:100]!r}. Allowed are "
                    f"its package index and {', '.join(allowed)} (SPACEPORT_PACKAGE_HOSTS)."
                )


def _host(authority: str) -> str:
    return authority.rpartition("@")[2].partition(":")[0].lower().strip(".")


def _constraints(gradio: str) -> tuple[str, ...]:
    major = int(re.sub(r"\D.*", "", gradio.removeprefix("gradio==")) or 99) if gradio else 99
    return next((constraints for below, constraints in COMPATIBILITY if major < below), ())


def _pinned(requirements: str) -> str:
    """The Gradio that requirements.txt pins, as "gradio==4.44.1"; empty when it does not."""
    found = _GRADIO_PIN.search(requirements)
    return f"gradio=={found.group(1)}" if found else ""


def _packages(text: str) -> tuple[str, ...]:
    names = []
    for number, line in enumerate(text.splitlines(), 1):
        for name in line.split("#")[0].split():
            if not _PACKAGE.fullmatch(name):
                raise BuildFailed(f"packages.txt, line {number}: {name!r} is no name of a Debian package.")
            names.append(name)
    return tuple(names)


def _text(source: Path, name: str) -> str:
    """A file of the repository; empty when absent. A link is refused: it could point anywhere."""
    path = source / name
    if path.is_symlink():
        raise BuildFailed(f"{name} is a symbolic link; it must be a plain file.")
    if not path.is_file():
        return ""
    raw = path.read_bytes()
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise BuildFailed(
            f"{name}, line 1: the file is UTF-16, as PowerShell's `>` writes it. Save it as UTF-8."
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BuildFailed(f"{name}, line {line}: this is not UTF-8 text. Save the file as UTF-8.") from error
