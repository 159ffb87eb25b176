"""A link to the state of the page.

call /say ["x"]
press "Say"
"""

import gradio as gr

with gr.Blocks() as demo:
    text, out = gr.Textbox("t", label="text"), gr.Textbox(label="out")
    gr.Button("Say").click(lambda t: t, text, out, api_name="say")
    gr.DeepLinkButton()
    gr.DuplicateButton()
demo.launch()
