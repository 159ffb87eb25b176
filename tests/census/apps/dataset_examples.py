"""Examples below inputs: not cached, pressed in the page.

call /shout ["x"]
press text "second"
press "Shout"
"""

import gradio as gr

with gr.Blocks() as demo:
    word, out = gr.Textbox(label="word"), gr.Textbox(label="out")
    gr.Button("Shout").click(str.upper, word, out, api_name="shout")
    gr.Examples([["first"], ["second"]], word)
demo.launch()
