"""Sample inputs, from the `/config` of real apps and from hostile ones."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import orjson
import pytest
from msgspec import Raw

from queueing.measuring import plan
from queueing.measuring.inputs import MOST_EXAMPLES, Recipe, recipes
from queueing.protocols.gradio_config import app_from_config

Configs = dict[str, Any]


@pytest.fixture(scope="module")
def configs() -> Configs:
    command = [sys.executable, "-m", "tests.queueing.sample_apps"]
    found: Configs = orjson.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return found


def of(config: Any) -> dict[str, Any]:
    """The recipes by API name."""
    found = recipes(orjson.dumps(config))
    return {
        str(one["api_name"]): found[one["id"]] for one in config["dependencies"] if one["id"] in found
    }  # fmt: skip


def test_an_interface_with_examples_loads_them(configs: Configs) -> None:
    recipe = of(configs["examples"])["repeat"]
    assert recipe.count == MOST_EXAMPLES
    assert recipe.places == {0: 0, 1: 1}
    assert recipe.filled([Raw(b'"a"'), Raw(b"3")]) == [Raw(b'"a"'), Raw(b"3")]
    update = Raw(b'{"__type__":"update","value":"b","lines":1}')
    assert recipe.filled([update, Raw(b'{"__type__":"update"}')])[0] == Raw(b'"b"')


def test_what_an_example_leaves_out_is_as_the_page_begins(configs: Configs) -> None:
    recipe = of(configs["some_examples"])["draw"]
    assert (recipe.count, recipe.places, recipe.is_complete) == (2, {1: 0}, False)
    assert recipe.filled([Raw(b'"a"')]) == [Raw(b"0.3"), Raw(b'"a"'), Raw(b"null")]


def test_the_generator_of_an_interface_is_a_step_with_examples(configs: Configs) -> None:
    app = app_from_config(configs["generator"])
    found = recipes(orjson.dumps(configs["generator"]))
    function = app.named("tell")
    assert function is not None
    assert function.after is not None
    assert plan.is_measurable(function)
    assert plan.has_samples(function, found)
    without = {function.id: Recipe(values=(Raw(b"1"),), is_complete=True)}
    assert not plan.has_samples(function, without)


def test_without_examples_the_page_s_values_are_sent_and_gradio_s_own_in_empty_fields(
    configs: Configs,
) -> None:
    found = of(configs["no_examples"])
    assert found["full"].values == (Raw(b"3"),)
    assert not found["half"].is_complete
    assert found["half"].guessed == (Raw(b"3"), Raw(b'"Hello!!"'))
    assert "file" not in found, "Gradio's example of a file is on the internet"
    assert found["none"].is_complete


def test_a_hostile_description_has_none() -> None:
    for raw in (
        b"", b"[]", b"{" * 300_000, b"[" * 100_000, b'{"components": 3}', b"\xff",
        b'{"components":[{"id":1,"type":"dataset","props":{"samples":7}}],'
        b'"dependencies":[{"id":1,"inputs":[1],"outputs":[1]}]}',
    ):  # fmt: skip
        assert recipes(raw) == {}
