"""Real apps, whose descriptions are printed as JSON, by name. A process of its own: Gradio cannot make
components where Twisted's interfaces have been declared."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import gradio as gr
import orjson

from queueing.measuring.inputs import MOST_EXAMPLES


def examples() -> gr.Blocks:
    rows = [[f"text {n}", n] for n in range(MOST_EXAMPLES + 3)]
    return gr.Interface(
        lambda text, n: text * n, [gr.Textbox(), gr.Slider(0, 5)], gr.Textbox(), examples=rows,
        api_name="repeat", cache_examples=False,
    )  # fmt: skip


def some_examples() -> gr.Blocks:
    with gr.Blocks() as demo:
        text, strength, kept, out = gr.Textbox(), gr.Slider(0, 1, value=0.3), gr.State([]), gr.Textbox()
        gr.Button().click(lambda *_: "", [strength, text, kept], out, api_name="draw")
        gr.Examples(["a", "b"], text)
    return demo


def generator() -> gr.Blocks:
    def tell(text: str) -> Iterator[str]:
        yield text

    return gr.Interface(tell, gr.Textbox(), gr.Textbox(), examples=["a", "b"], api_name="tell")


def no_examples() -> gr.Blocks:
    with gr.Blocks() as demo:
        full, empty, file, out = gr.Number(3), gr.Textbox(), gr.File(), gr.Textbox()
        gr.Button().click(lambda n: n, full, out, api_name="full")
        gr.Button().click(lambda n, t: t, [full, empty], out, api_name="half")
        gr.Button().click(lambda n, t: t, [empty, file], out, api_name="file")
        gr.Button().click(lambda: "", None, out, api_name="none")
    return demo


if __name__ == "__main__":
    made = {make.__name__: make() for make in (examples, some_examples, generator, no_examples)}
    configs = {name: demo.get_config_file() for name, demo in made.items()}
    sys.stdout.buffer.write(orjson.dumps(configs, default=str))
