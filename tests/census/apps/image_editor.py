"""An image that is drawn on: layers, background, composite.

call /layers [{"background": {"file": "images/logo.png"}, "layers": [], "composite": {"file": "images/logo.png"}}]
"""

import gradio as gr


def layers(drawn):
    return {"layers": len(drawn["layers"]), "size": list(drawn["composite"].shape)}


with gr.Blocks() as demo:
    editor, out = gr.ImageEditor(), gr.JSON()
    gr.Button("Layers").click(layers, editor, out, api_name="layers")
demo.launch()
