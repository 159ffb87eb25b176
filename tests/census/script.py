"""What a visitor does with an app of the census, read from the app's own docstring: a title, a blank line,
then one step a line.

    call /name [arguments]              call the endpoint by gradio_client, keep all it yields
    cancel /name [arguments] after n    cancel the call once it has yielded n values
    client [user password]              go on with a new client
    at /path                            the Gradio app lies there; go on with a new client
    get /path                           a plain HTTP request
    open /path                          open this page instead of the first one
    fill "label" "text"                 type into the field (`fill placeholder …`: by its placeholder)
    press "name"                        press the button (`press text …`: whatever bears it; `press key …`)
    wait "text"                         until the page shows it

Arguments are JSON; `{"file": name}` is a file of Gradio's own media.
"""

from __future__ import annotations

import ast
import json
import shlex
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from gradio_client import handle_file

FOLDER = Path(__file__).parent / "apps"
#: Found without importing Gradio, which takes seconds.
MEDIA = Path(str(distribution("gradio").locate_file("gradio"))) / "media_assets"
#: Steps in the page; the others are a program's.
PAGE = {"open", "fill", "press", "wait"}


@dataclass(frozen=True)
class Step:
    """One line of a script."""

    verb: str
    words: tuple[str, ...]
    arguments: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return " ".join([self.verb, *self.words])


@dataclass(frozen=True)
class App:
    """One app of the census."""

    name: str
    source: str
    steps: tuple[Step, ...]
    sdk: str = "gradio"

    @property
    def of_program(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.verb not in PAGE)

    @property
    def of_page(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.verb in PAGE)

    @property
    def mount(self) -> str:
        """Where the Gradio app lies at first: "" for the root."""
        return next((step.words[0] for step in self.steps if step.verb == "at"), "")


def apps() -> dict[str, App]:
    """All apps of the census by name."""
    return {path.stem: read(path.stem, path.read_text()) for path in sorted(FOLDER.glob("*.py"))}


def read(name: str, source: str, sdk: str = "gradio") -> App:
    """The app with the script in its docstring.

    Raises:
        ValueError: a line is no step.
    """
    _, _, script = (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")
    return App(name, source, tuple(_step(line) for line in script.splitlines() if line.strip()), sdk)


def _step(line: str) -> Step:
    verb, _, rest = line.strip().partition(" ")
    if verb in {"call", "cancel"}:
        endpoint, _, rest = rest.partition(" ")
        arguments, end = json.JSONDecoder(object_hook=_file).raw_decode(rest)
        words = (endpoint, *shlex.split(rest[end:].replace("after", "")))
        return Step(verb, words, tuple(arguments))
    if verb not in {"client", "at", "get", *PAGE}:
        raise ValueError(f"no step of the census: {line}")
    return Step(verb, tuple(shlex.split(rest)))


def _file(value: dict[str, Any]) -> Any:
    return handle_file(str(MEDIA / value["file"])) if set(value) == {"file"} else value
