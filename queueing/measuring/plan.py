"""What is to be measured: groups of functions, and the inputs that their calls are sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from queueing.groups import own_name
from queueing.lines import MAIN
from queueing.measuring.driver import CallFailed, Work
from queueing.measuring.inputs import Recipe
from queueing.routes import RENDERED

if TYPE_CHECKING:
    from queueing.measuring.driver import Driver
    from queueing.routes import App, Function

#: Groups that are measured unless some are named; more would share too little time.
MOST_GROUPS = 3
NO_INPUTS = (
    "No function has sample inputs. Show examples on the page (gr.Examples, or examples= of an interface), "
    "or send inputs with the request."
)
EXAMPLES, INITIAL, GIVEN = "examples", "initial values", "given"
#: What Gradio shows in "Use via API" for a field that begins empty, and other such values.
GRADIOS = "Gradio's example values"
GUESSED = (INITIAL, GRADIOS)


class NothingToMeasure(Exception):
    """No function can be called with sample inputs; the message gives the reason and what to do."""


@dataclass(frozen=True, kw_only=True)
class GroupPlan:
    """One group, and what its callers send."""

    group: str
    works: tuple[Work, ...]
    inputs: str

    @property
    def functions(self) -> tuple[str, ...]:
        """By the names that people know."""
        return tuple(own_name(work.function) for work in self.works)

    @property
    def is_batch(self) -> bool:
        return any(work.function.batch for work in self.works)


async def planned(
    driver: Driver,
    app: App,
    recipes: Mapping[int, Recipe],
    given: Mapping[str, Sequence[Sequence[Any]]],
    wanted: Sequence[str],
    called: Mapping[str, int],
) -> list[GroupPlan]:
    """The groups to measure, the busiest first. `given`: inputs by the function's name; `wanted`: functions
    by name, none for a choice; `called`: visitors' events by the function's number.

    Raises:
        NothingToMeasure
        ContainerDied
    """
    candidates = [one for one in app.functions if is_measurable(one) or _is_named(one, (*wanted, *given))]
    chosen = [one for one in candidates if _is_named(one, wanted)] if wanted else candidates
    if missing := [name for name in wanted if not any(_is_named(one, [name]) for one in chosen)]:
        raise NothingToMeasure(f"The app has no function {missing[0]}.")
    found: dict[str, list[tuple[Work, str]]] = {}
    for function in sorted(chosen, key=lambda one: -called.get(str(app.fn(one.id)), 0)):
        if (made := await _work(driver, app, function, recipes, given)) is not None:
            found.setdefault(function.group, []).append(made)
    examples = any(source not in GUESSED for works in found.values() for _, source in works)
    plans = [_group(name, works) for name, works in found.items()]
    if not wanted and examples:
        # What a page begins with is a guess: without need only where visitors call the function.
        plans = [one for one in plans if one.inputs not in GUESSED or _calls(one, called)]
    if not plans:
        raise NothingToMeasure(NO_INPUTS)
    return plans if wanted else plans[:MOST_GROUPS]


def names(app: App) -> set[str]:
    """Of all functions that can be measured."""
    return {own_name(one).strip("/") for one in app.functions if _can_be_called(one)}


def is_wanted(function: Function, wanted: Sequence[str]) -> bool:
    """Whether it is one of those named, or, where none is, one that visitors wait for."""
    return _is_named(function, wanted) if wanted else is_measurable(function)


def _can_be_called(function: Function) -> bool:
    return not function.streams and function.group != RENDERED


def is_measurable(function: Function) -> bool:
    """Whether visitors wait for it, and it can be called by itself."""
    return function.lane == MAIN and function.queue and not function.cancels and _can_be_called(function)


def has_samples(function: Function, recipes: Mapping[int, Recipe]) -> bool:
    """Whether it can be called with what the page has. A step after another one gets what that one made, so
    what the page begins with is not for it; examples are, as for the generators of an interface."""
    recipe = recipes.get(function.id)
    return recipe is not None and (recipe.loads is not None or function.after is None)


def _is_named(function: Function, names: Sequence[str]) -> bool:
    return any(name.strip("/") == function.api_name or name == own_name(function) for name in names)


def _calls(plan: GroupPlan, called: Mapping[str, int]) -> int:
    return sum(called.get(str(work.fn), 0) for work in plan.works)


def _group(name: str, works: Sequence[tuple[Work, str]]) -> GroupPlan:
    # A batch is one function's.
    kept = works[:1] if any(work.function.batch for work, _ in works) else works
    return GroupPlan(group=name, works=tuple(work for work, _ in kept), inputs=kept[0][1])


async def _work(
    driver: Driver,
    app: App,
    function: Function,
    recipes: Mapping[int, Recipe],
    given: Mapping[str, Sequence[Sequence[Any]]],
) -> tuple[Work, str] | None:
    number = app.fn(function.id)
    if own := next((rows for name, rows in given.items() if _is_named(function, [name])), None):
        return Work(fn=number, function=function, rows=own), GIVEN
    if not has_samples(function, recipes):
        return None
    recipe = recipes[function.id]
    if rows := await _examples(driver, app, recipe):
        return Work(fn=number, function=function, rows=rows), EXAMPLES
    if recipe.is_complete and function.after is None:
        return Work(fn=number, function=function, rows=[list(recipe.values)]), INITIAL
    if recipe.guessed:
        return Work(fn=number, function=function, rows=[list(recipe.guessed)]), GRADIOS
    return None


async def _examples(driver: Driver, app: App, recipe: Recipe) -> list[Sequence[Any]]:
    loading = app.function(recipe.loads) if recipe.loads is not None else None
    if loading is None:
        return []
    found = list[Sequence[Any]]()
    for number in range(recipe.count):
        try:
            outputs = await driver.outputs(Work(fn=app.fn(loading.id), function=loading, rows=()), [number])
        except CallFailed:
            continue
        found.append(recipe.filled(outputs))
    return found
