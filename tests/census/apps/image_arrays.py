"""Images as arrays and as Pillow objects.

call /flip [{"file": "images/tower.jpg"}]
call /grey [{"file": "images/tower.jpg"}]
call /make []
press "Make"
"""

import gradio as gr
import numpy as np


def make():
    return np.full((16, 16, 3), 200, dtype=np.uint8)


with gr.Blocks() as demo:
    array, pil, out = gr.Image(), gr.Image(type="pil"), gr.Image(format="png")
    gr.Button("Flip").click(np.fliplr, array, out, api_name="flip")
    gr.Button("Grey").click(lambda image: image.convert("L"), pil, out, api_name="grey")
    gr.Button("Make").click(make, None, out, api_name="make")
demo.launch()
