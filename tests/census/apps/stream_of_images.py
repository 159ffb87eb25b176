"""A generator of images, and one with several outputs.

call /frames [3]
call /both [2]
press "Both"
"""

import gradio as gr
import numpy as np


def frames(n):
    for i in range(int(n)):
        yield np.full((8, 8, 3), i * 20, dtype=np.uint8)


def both(n):
    for i in range(int(n)):
        yield f"text {i}", i
        yield gr.skip(), i + 0.5


with gr.Blocks() as demo:
    n, image = gr.Number(2), gr.Image(format="png")
    text, number = gr.Textbox(), gr.Number()
    gr.Button("Frames").click(frames, n, image, api_name="frames")
    gr.Button("Both").click(both, n, [text, number], api_name="both")
demo.launch()
