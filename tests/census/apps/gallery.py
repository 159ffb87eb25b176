"""A gallery with captions.

call /show [2]
call /captions [[{"image": {"file": "images/logo.png"}, "caption": "logo"}]]
press "Show"
"""

import gradio as gr
import numpy as np


def show(count):
    return [(np.full((8, 8, 3), 40 * n, dtype=np.uint8), f"no. {n}") for n in range(int(count))]


with gr.Blocks() as demo:
    count, gallery, names = gr.Number(3), gr.Gallery(format="png"), gr.JSON()
    gr.Button("Show").click(show, count, gallery, api_name="show")
    gr.Button("Captions").click(lambda g: [c for _, c in g or []], gallery, names, api_name="captions")
demo.launch()
