"""A file as bytes, with checked endings.

call /head [{"file": "data/sample.txt"}]
call /head [{"file": "images/logo.png"}]
"""

import gradio as gr

with gr.Blocks() as demo:
    file = gr.File(type="binary", file_types=[".txt"])
    out = gr.Textbox()
    gr.Button("Head").click(lambda data: data[:10].decode(), file, out, api_name="head")
demo.launch()
