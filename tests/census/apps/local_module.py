"""Data beside the app: read at start, written by functions.

call /read []
call /write ["x"]
call /write ["y"]
"""

from pathlib import Path

import gradio as gr

here = Path(__file__).parent
(here / "notes.txt").write_text("")


def write(text):
    with (here / "notes.txt").open("a") as notes:
        notes.write(text)
    return (here / "notes.txt").read_text()


with gr.Blocks() as demo:
    text, out = gr.Textbox("t"), gr.Textbox()
    gr.Button("Read").click(
        lambda: sorted(p.name for p in here.glob("*.py")), None, gr.JSON(), api_name="read"
    )
    gr.Button("Write").click(write, text, out, api_name="write")
demo.launch()
