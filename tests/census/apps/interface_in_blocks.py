"""Interfaces loaded into Blocks, and rendered ones called as functions.

call /predict ["x"]
call /both ["x"]
"""

import gradio as gr

shout = gr.Interface(lambda t: t.upper(), "text", "text")
with gr.Blocks() as demo:
    shout.render()
    text, out = gr.Textbox("t"), gr.Textbox()
    gr.Button("Both").click(lambda t: shout(t) + "!", text, out, api_name="both")
demo.launch()
