"""A timer that counts, and one shared with a button.

call /status []
wait "ticked 3"
"""

import gradio as gr

with gr.Blocks() as demo:
    ticks, out, status = gr.State(0), gr.Textbox(label="out"), gr.Textbox(label="status")
    timer = gr.Timer(0.2)
    timer.tick(lambda t: (t + 1, f"ticked {min(t + 1, 3)}"), ticks, [ticks, out], api_name=False)
    now = gr.Button("Now")
    gr.on([timer.tick, now.click], lambda: "here", None, status, api_name="status", show_progress="hidden")
demo.launch()
