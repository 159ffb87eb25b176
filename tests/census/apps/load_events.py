"""What runs when the page opens, values that are functions, values refreshed at intervals.

call /opened []
wait "opened"
"""

import gradio as gr

with gr.Blocks() as demo:
    out = gr.Textbox(label="out")
    gr.Textbox(lambda: "value of a function", label="value")
    gr.Number(lambda: 7, every=0.5, label="every")
    demo.load(lambda: "opened", None, out, api_name="opened")
    demo.unload(lambda: None)
demo.launch()
