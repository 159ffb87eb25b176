"""Examples that run when they are pressed.

press text "second"
"""

import gradio as gr

with gr.Blocks() as demo:
    word, out = gr.Textbox(label="word"), gr.Textbox(label="out")
    gr.Examples([["first"], ["second"]], word, out, lambda w: w * 2, run_on_click=True, cache_examples=False)
demo.launch()
