"""What `python app.py` gives a script: its name, file, arguments, source, classes that pickle.

call /facts []
call /annotations []
call /pickled [3]
call /source []
"""

import inspect
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path

import gradio as gr


@dataclass
class Point:
    x: int


def typed(n: int) -> int:
    return n


def facts():
    main = sys.modules["__main__"]
    return {
        "name": __name__,
        "file": Path(__file__).name,
        "arguments": [Path(a).name for a in sys.argv],
        "spec": str(__spec__),
        "main": main.__dict__ is globals(),
        "module": Point.__module__,
        "doc": bool(__doc__),
    }


def annotations():
    return inspect.signature(typed).parameters["n"].annotation is int


def pickled(n):
    return pickle.loads(pickle.dumps(Point(int(n)))).x


def source():
    return inspect.getsource(typed)


with gr.Blocks() as demo:
    out, n, text = gr.JSON(), gr.Number(1), gr.Textbox()
    gr.Button("Facts").click(facts, None, out, api_name="facts")
    gr.Button("Annotations").click(annotations, None, out, api_name="annotations")
    gr.Button("Pickled").click(pickled, n, out, api_name="pickled")
    gr.Button("Source").click(source, None, text, api_name="source")
demo.launch(show_error=True)
