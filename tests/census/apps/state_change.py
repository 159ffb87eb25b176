"""A state whose change runs a function.

call /add []
press "Add"
press "Add"
"""

import gradio as gr

with gr.Blocks() as demo:
    total, out = gr.State(0), gr.Textbox(label="out")
    gr.Button("Add").click(lambda t: t + 1, total, total, api_name="add")
    total.change(lambda t: f"total {t}", total, out, api_name=False)
demo.launch()
