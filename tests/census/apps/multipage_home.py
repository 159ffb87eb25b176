"""The first page of several.

press "Greet"
press text "Second"
"""

import gradio as gr

with gr.Blocks() as demo:
    name, out = gr.Textbox("Ada"), gr.Textbox(label="out")
    gr.Button("Greet").click(lambda n: f"hi {n}", name, out)
with demo.route("Second", "/second"):
    gr.Markdown("the second page")
demo.launch()
