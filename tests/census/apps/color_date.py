"""A colour and a point in time.

call /color ["#ff0000"]
call /when [1700000000]
call /text ["2024-02-29 10:00:00"]
"""

import gradio as gr

with gr.Blocks() as demo:
    color, when = gr.ColorPicker("#00ff00"), gr.DateTime(timezone="UTC")
    words, out = gr.DateTime(type="string", timezone="UTC"), gr.Textbox()
    gr.Button("Color").click(lambda c: c.upper(), color, out, api_name="color")
    gr.Button("When").click(str, when, out, api_name="when")
    gr.Button("Text").click(lambda t: t, words, out, api_name="text")
demo.launch()
