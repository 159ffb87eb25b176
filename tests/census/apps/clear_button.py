"""A button that clears, and one that copies the address.

call /say ["x"]
fill "text" "something"
press "Say"
press "Clear"
"""

import gradio as gr

with gr.Blocks() as demo:
    text, out = gr.Textbox(label="text"), gr.Textbox(label="out")
    gr.Button("Say").click(lambda t: t, text, out, api_name="say")
    gr.ClearButton([text, out])
demo.launch()
