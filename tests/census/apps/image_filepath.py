"""An image by its path: handed back as it came.

call /same [{"file": "images/cheetah1.jpg"}]
call /name [{"file": "images/logo.png"}]
call /same [null]
"""

import os

import gradio as gr

with gr.Blocks() as demo:
    picture, out, name = gr.Image(type="filepath"), gr.Image(), gr.Textbox()
    gr.Button("Same").click(lambda path: path, picture, out, api_name="same")
    gr.Button("Name").click(os.path.basename, picture, name, api_name="name")
demo.launch()
