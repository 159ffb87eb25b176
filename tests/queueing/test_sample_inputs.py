"""Sample inputs, from the `/config` of real apps and from hostile ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
import orjson
from msgspec import Raw

from queueing.measuring import plan
from queueing.measuring.inputs import MOST_EXAMPLES, Recipe, recipes
from queueing.protocols.gradio_config import app_from_config


def of(demo: gr.Blocks) -> dict[str, Any]:
    """The recipes by API name."""
    config = demo.get_config_file()
    found = recipes(orjson.dumps(config, default=str))  # as Gradio sends it
    return {
        str(one["api_name"]): found[one["id"]] for one in config["dependencies"] if one["id"] in found
    }  # fmt: skip


def test_an_interface_with_examples_loads_them() -> None:
    examples = [[f"text {n}", n] for n in range(MOST_EXAMPLES + 3)]
    demo = gr.Interface(
        lambda text, n: text * n, [gr.Textbox(), gr.Slider(0, 5)], gr.Textbox(), examples=examples,
        api_name="repeat", cache_examples=False,
    )  # fmt: skip
    recipe = of(demo)["repeat"]
    assert recipe.count == MOST_EXAMPLES
    assert recipe.places == {0: 0, 1: 1}
    assert recipe.filled([Raw(b'"a"'), Raw(b"3")]) == [Raw(b'"a"'), Raw(b"3")]
    update = Raw(b'{"__type__":"update","value":"b","lines":1}')
    assert recipe.filled([update, Raw(b'{"__type__":"update"}')])[0] == Raw(b'"b"')


def test_what_an_example_leaves_out_is_as_the_page_begins() -> None:
    with gr.Blocks() as demo:
        text, strength, kept, out = gr.Textbox(), gr.Slider(0, 1, value=0.3), gr.State([]), gr.Textbox()
        gr.Button().click(lambda *_: "", [strength, text, kept], out, api_name="draw")
        gr.Examples(["a", "b"], text)
    recipe = of(demo)["draw"]
    assert (recipe.count, recipe.places, recipe.is_complete) == (2, {1: 0}, False)
    assert recipe.filled([Raw(b'"a"')]) == [Raw(b"0.3"), Raw(b'"a"'), Raw(b"null")]


def test_the_generator_of_an_interface_is_a_step_with_examples() -> None:
    def tell(text: str) -> Iterator[str]:
        yield text

    demo = gr.Interface(tell, gr.Textbox(), gr.Textbox(), examples=["a", "b"], api_name="tell")
    app = app_from_config(demo.get_config_file())
    found = recipes(orjson.dumps(demo.get_config_file(), default=str))
    function = app.named("tell")
    assert function is not None
    assert function.after is not None
    assert plan.is_measurable(function)
    assert plan.has_samples(function, found)
    without = {function.id: Recipe(values=(Raw(b"1"),), is_complete=True)}
    assert not plan.has_samples(function, without)


def test_without_examples_the_values_of_the_page_are_sent_and_gradios_own_where_it_begins_with_none() -> None:
    with gr.Blocks() as demo:
        full, empty, file, out = gr.Number(3), gr.Textbox(), gr.File(), gr.Textbox()
        gr.Button().click(lambda n: n, full, out, api_name="full")
        gr.Button().click(lambda n, t: t, [full, empty], out, api_name="half")
        gr.Button().click(lambda n, t: t, [empty, file], out, api_name="file")
        gr.Button().click(lambda: "", None, out, api_name="none")
    found = of(demo)
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
