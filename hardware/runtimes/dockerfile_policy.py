"""What a Space's own Dockerfile may not do: make the engine, which runs as root on the host's network, fetch
things, or take layers of other Spaces. Everything else is the Space's own affair, inside its build."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass

from hardware.runtimes.base import BuildFailed

_DIRECTIVE = re.compile(r"#\s*(syntax|escape|check)\s*=", re.IGNORECASE)
_REMOTE = re.compile(r"^\s*([a-z][a-z0-9+.-]*://|git@|github\.com/)|\.git(#|$)", re.IGNORECASE)
_IMAGE_ID = re.compile(r"(sha256:)?[0-9a-f]{6,64}")


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One instruction of a Dockerfile with its continuation lines joined, and the line it begins on."""

    line: int
    name: str
    arguments: str

    @property
    def words(self) -> list[str]:
        """Its arguments without flags, in either of the two forms."""
        if self.arguments.lstrip().startswith("["):
            try:
                return [str(word) for word in json.loads(self.arguments)]
            except ValueError:
                pass
        return [word for word in self.arguments.split() if not word.startswith("--")]

    def flag(self, name: str) -> str | None:
        """The value of `--name=value`."""
        found = re.search(rf"(?:^|\s)--{name}=(\S+)", self.arguments)
        return found.group(1) if found else None


def check(text: str, *, base_image: str) -> None:
    """Refuse a Dockerfile that breaks the rules. `base_image` is the name of the images Spaces may start
    from even though they are the platform's.

    Raises:
        BuildFailed: the line, the reason and what to do instead.
    """
    first = text.lstrip("\ufeff").split("\n", 1)[0]
    if (found := _DIRECTIVE.match(first)) is not None:
        raise BuildFailed(
            f"Dockerfile, line 1: the directive `# {found.group(1)}=` is not supported; remove it."
        )
    stages: set[str] = set()
    defaults: dict[str, str] = {}
    for instruction in parse(text):
        if instruction.name == "ARG" and not stages:
            name, _, value = instruction.arguments.strip().partition("=")
            defaults[name] = value.strip("\"'")
        elif instruction.name == "FROM":
            words = instruction.words
            _check_image(instruction, _filled_in(words[0], defaults) if words else "", stages, base_image)
            stages.add(str(len(stages)))
            if len(words) > 2 and words[1].upper() == "AS":  # FROM image AS name
                stages.add(words[2].lower())
        elif instruction.name in ("ADD", "COPY"):
            _check_sources(instruction, stages, base_image)


def parse(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile; comments and empty lines left out."""
    found: list[Instruction] = []
    joined, begin = "", 0
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        begin = begin or number
        if stripped.endswith("\\"):
            joined += stripped[:-1] + " "
            continue
        name, _, arguments = (joined + stripped).partition(" ")
        found.append(Instruction(line=begin, name=name.upper(), arguments=arguments.strip()))
        joined, begin = "", 0
    if joined:
        name, _, arguments = joined.partition(" ")
        found.append(Instruction(line=begin, name=name.upper(), arguments=arguments.strip()))
    return found


def _check_sources(instruction: Instruction, stages: set[str], base_image: str) -> None:
    origin = instruction.flag("from")
    if origin is not None and origin.lower() not in stages:
        _check_image(instruction, origin, stages, base_image)
    if instruction.name != "ADD":
        return
    for source in instruction.words[:-1]:
        if _REMOTE.search(source):
            raise _refused(
                instruction, f"ADD may not fetch {source}. Fetch it in a RUN step, or commit the file."
            )
        if "$" in source:
            raise _refused(instruction, "ADD may not take its source from a variable. Use COPY.")


def _check_image(instruction: Instruction, image: str, stages: set[str], base_image: str) -> None:
    if not image:
        raise _refused(instruction, "FROM needs the name of an image.")
    if image.lower() in stages or image == "scratch":
        return
    if "$" in image:
        raise _refused(instruction, f"the image {image} depends on a variable without a default.")
    if _IMAGE_ID.fullmatch(image):
        raise _refused(instruction, "name an image by its name, not by its id.")
    name = image.split("@")[0]
    repository = name.rsplit(":", 1)[0] if ":" in name.rsplit("/", 1)[-1] else name
    if repository.removeprefix("docker.io/").startswith("spaceport/") and repository != base_image:
        raise _refused(instruction, f"the image {image} belongs to the platform. {base_image} may be used.")
    registry = repository.split("/", 1)[0] if "/" in repository else ""
    host = registry.rsplit(":", 1)[0].strip("[]").lower()
    if host == "localhost" or host.endswith(".localhost") or _is_address(host):
        raise _refused(
            instruction, f"images may not come from {registry}. Use a registry with a public name."
        )


def _filled_in(image: str, defaults: dict[str, str]) -> str:
    return re.sub(
        r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))",
        lambda found: defaults.get(found[1] or found[3]) or found[2] or found[0],
        image,
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _refused(instruction: Instruction, reason: str) -> BuildFailed:
    return BuildFailed(f"Dockerfile, line {instruction.line}: {reason}")
