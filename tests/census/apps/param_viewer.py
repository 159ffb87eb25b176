"""Documentation of parameters, a dialogue of speakers.

call /speak [[{"speaker": "Ada", "text": "hello"}]]
"""

import gradio as gr

with gr.Blocks() as demo:
    gr.ParamViewer({"x": {"type": "int", "description": "a number", "default": "1"}})
    said, out = gr.Dialogue(speakers=["Ada", "Bob"]), gr.Textbox()
    gr.Button("Speak").click(lambda d: str(d), said, out, api_name="speak")
demo.launch()
