"""Text together with files.

call /count [{"text": "see", "files": [{"file": "images/logo.png"}]}]
call /count [{"text": "none", "files": []}]
"""

import gradio as gr

with gr.Blocks() as demo:
    box, out = gr.MultimodalTextbox(file_count="multiple"), gr.Textbox()
    box.submit(lambda m: f"{m['text']} {len(m['files'])}", box, out, api_name="count")
demo.launch()
