"""Files: one, several, a folder's; sizes, names, and files that the app writes.

call /sizes [[{"file": "data/titanic.csv"}, {"file": "data/sample.txt"}]]
call /one [{"file": "data/sample.txt"}]
call /write ["line"]
call /many [3]
press "Write"
"""

import os
import tempfile
from pathlib import Path

import gradio as gr


def write(text):
    path = Path(tempfile.mkdtemp()) / "ünï 1.txt"
    path.write_text(text * 3)
    return str(path)


def many(count):
    folder = Path(tempfile.mkdtemp())
    paths = [folder / f"{number}.txt" for number in range(int(count))]
    for path in paths:
        path.write_text(path.name)
    return [str(path) for path in paths]


with gr.Blocks() as demo:
    several, one = gr.File(file_count="multiple"), gr.File()
    text, out = gr.Textbox("x"), gr.File()
    sizes, count = gr.JSON(), gr.Number(2)
    gr.Button("Sizes").click(lambda fs: [os.path.getsize(f) for f in fs], several, sizes, api_name="sizes")
    gr.Button("One").click(lambda f: f, one, out, api_name="one")
    gr.Button("Write").click(write, text, out, api_name="write")
    gr.Button("Many").click(many, count, out, api_name="many")
demo.launch()
