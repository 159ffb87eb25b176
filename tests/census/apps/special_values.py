"""Values that JSON has no word for, and ones it has odd words for.

call /nan []
call /none []
call /big []
call /unicode []
call /nested []
"""

import gradio as gr
import numpy as np


def nan():
    return {"nan": float("nan"), "inf": float("inf")}


def big():
    return {"big": 2**70, "small": 1e-300, "numpy": int(np.int64(7)), "minus": -0.0}


def nested():
    tree = []
    for _ in range(50):
        tree = [tree]
    return tree


with gr.Blocks() as demo:
    out, text = gr.JSON(), gr.Textbox()
    gr.Button("Nan").click(nan, None, out, api_name="nan")
    gr.Button("None").click(lambda: None, None, text, api_name="none")
    gr.Button("Big").click(big, None, out, api_name="big")
    gr.Button("Unicode").click(lambda: "a\u2028b\x00c 😀 \ud7ff", None, text, api_name="unicode")
    gr.Button("Nested").click(nested, None, out, api_name="nested")
demo.launch(show_error=True)
