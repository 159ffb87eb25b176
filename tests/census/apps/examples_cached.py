"""Examples whose results are made at start, and lazily.

call /twice ["ab"]
call /load_example [1]
"""

import gradio as gr

with gr.Blocks() as demo:
    word, out = gr.Textbox(label="word"), gr.Textbox(label="out")
    gr.Button("Twice").click(lambda w: w * 2, word, out, api_name="twice")
    gr.Examples([["first"], ["second"]], word, out, lambda w: w * 2, cache_examples=True)
demo.launch()
