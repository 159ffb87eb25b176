"""An image with boxes and masks.

call /annotate []
press "Annotate"
"""

import gradio as gr
import numpy as np


def annotate():
    mask = np.zeros((20, 20))
    mask[2:5, 2:5] = 1
    return np.full((20, 20, 3), 90, dtype=np.uint8), [((1, 1, 9, 9), "box"), (mask, "mask")]


with gr.Blocks() as demo:
    out = gr.AnnotatedImage(format="png")
    gr.Button("Annotate").click(annotate, None, out, api_name="annotate")
demo.launch()
