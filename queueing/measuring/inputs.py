"""Sample inputs of an app's functions, from its `/config`: the examples that its author shows on the page,
else the values that its page begins with, and where it begins with none, those that Gradio shows in "Use via
API". What an app says of itself is hostile input, and bounded here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

CONFIG_BYTES = 32 * 1024 * 1024
MOST_OBJECTS = 200_000
MOST_EXAMPLES = 8
#: Of one value.
VALUE_BYTES = 4 * 1024 * 1024

NULL = Raw(b"null")
#: What a page shows before anything is chosen, and what nobody would send.
EMPTY = (b"null", b'""')
#: In Gradio's example of a file, which is elsewhere on the internet.
FILE = b'"gradio.FileData"'
#: Gradio keeps these values itself; the page sends null for them.
KEPT_THERE = ("state",)

Ids = Annotated[list[int | str], Meta(max_length=1000)]


class _Props(Struct):
    value: Raw = NULL
    samples: Raw = Raw(b"[]")


class _Component(Struct):
    id: int | str = -1
    type: str = ""
    props: _Props = msgspec.field(default_factory=_Props)
    example_inputs: Raw = NULL


class _Dependency(Struct):
    id: int = -1
    targets: Raw = Raw(b"[]")
    inputs: Ids = []
    outputs: Ids = []


class _Config(Struct):
    components: Annotated[list[_Component], Meta(max_length=20_000)] = []
    dependencies: Annotated[list[_Dependency], Meta(max_length=5000)] = []


_config = msgspec.json.Decoder(_Config).decode
_samples = msgspec.json.Decoder(list[Raw]).decode
_targets = msgspec.json.Decoder(list[list[int | str | None]]).decode
FAILURES = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True)
class Recipe:
    """How to get inputs of one function. `values`: those that the page begins with; `guessed`: the same with
    Gradio's examples in empty fields, () where it has none; `loads`: the function that loads an example by
    its number, `count` of them; `places`: its outputs by the inputs they fill."""

    values: tuple[Raw, ...] = ()
    is_complete: bool = False
    guessed: tuple[Raw, ...] = ()
    loads: int | None = None
    count: int = 0
    places: Mapping[int, int] = field(default_factory=dict)

    def filled(self, outputs: Sequence[Raw]) -> list[Raw]:
        """The inputs with what the loading function gave; those that it left alone stay."""
        found = list(self.values)
        for place, output in self.places.items():
            if output < len(outputs) and (value := _value_of(outputs[output])) is not None:
                found[place] = value
        return found


def recipes(raw: bytes) -> dict[int, Recipe]:
    """By the number of the function; those without any sample inputs are left out, and a `/config` that is
    none has none."""
    if len(raw) > CONFIG_BYTES or raw.count(b"{") > MOST_OBJECTS:
        return {}
    try:
        config = _config(raw)
    except FAILURES:
        return {}
    components = {one.id: one for one in config.components}
    loaders = _loaders(config, components)
    found = {}
    for index, dependency in enumerate(config.dependencies):
        recipe = _recipe(dependency, components, loaders)
        if recipe.is_complete or recipe.guessed or recipe.loads is not None:
            found[_id(dependency, index)] = recipe
    return found


def _id(dependency: _Dependency, index: int) -> int:
    """Releases before 4.0 number them by their order."""
    return index if dependency.id < 0 else dependency.id


def _loaders(
    config: _Config, components: Mapping[int | str, _Component]
) -> list[tuple[int, _Dependency, int]]:
    """Functions that a click on an example runs, with how many examples there are."""
    counts = {
        one.id: count for one in components.values() if one.type == "dataset" and (count := _count(one))
    }
    return [
        (_id(dependency, index), dependency, counts[dependency.inputs[0]])
        for index, dependency in enumerate(config.dependencies)
        if len(dependency.inputs) == 1 and dependency.inputs[0] in counts and dependency.outputs
    ]


def _count(dataset: _Component) -> int:
    try:
        return len(_samples(dataset.props.samples))
    except FAILURES:
        return 0


def _recipe(
    dependency: _Dependency,
    components: Mapping[int | str, _Component],
    loaders: Sequence[tuple[int, _Dependency, int]],
) -> Recipe:
    own = [components.get(one, _Component()) for one in dependency.inputs]
    if any(one.type == "dataset" for one in own):
        return Recipe()  # it loads examples itself
    values = tuple(NULL if one.type in KEPT_THERE else _bounded(one.props.value) for one in own)
    guessed = tuple(
        value if bytes(value) not in EMPTY or one.type in KEPT_THERE else _bounded(one.example_inputs)
        for one, value in zip(own, values, strict=True)
    )
    best = Recipe(
        values,
        _is_complete(own, values),
        guessed if _is_complete(own, guessed) and not any(FILE in bytes(one) for one in guessed) else (),
    )
    for number, loader, count in loaders:
        places = {
            dependency.inputs.index(one): place
            for place, one in enumerate(loader.outputs)
            if one in dependency.inputs
        }
        if len(places) > len(best.places):
            best = replace(best, loads=number, count=min(count, MOST_EXAMPLES), places=places)
    return best


def _bounded(value: Raw) -> Raw:
    return value if len(value) <= VALUE_BYTES else NULL


def _is_complete(own: Sequence[_Component], values: Sequence[Raw]) -> bool:
    return all(
        one.type in KEPT_THERE or bytes(value) not in EMPTY for one, value in zip(own, values, strict=True)
    )


def _value_of(output: Raw) -> Raw | None:
    """The value in an output, which may be an update of its component; None where there is none."""
    if len(output) > VALUE_BYTES:
        return None
    if not bytes(output).lstrip().startswith(b"{"):
        return output
    try:
        fields: dict[str, Raw] = msgspec.json.decode(output, type=dict[str, Raw])
    except FAILURES:
        return None
    if bytes(fields.get("__type__", NULL)) != b'"update"':
        return output
    return fields.get("value")


def rows(given: Any) -> list[list[Any]] | None:
    """Inputs as somebody gave them: a list of calls, each a list of values; None where they are not."""
    is_right = isinstance(given, list) and given and all(isinstance(row, list) for row in given)
    return given if is_right else None
