"""Limits of concurrency, as arguments of events, of the queue and of a group.

call /one ["a"]
call /free ["a"]
call /pair ["a"]
call /quick ["a"]
"""

import gradio as gr

with gr.Blocks() as demo:
    text, out = gr.Textbox("t"), gr.Textbox()
    gr.Button("One").click(lambda t: t + "1", text, out, concurrency_limit=1, api_name="one")
    gr.Button("Free").click(lambda t: t + "2", text, out, concurrency_limit=None, api_name="free")
    gr.Button("Pair").click(
        lambda t: t + "3", text, out, concurrency_limit=2, concurrency_id="p", api_name="pair"
    )
    gr.Button("Quick").click(lambda t: t + "4", text, out, concurrency_id="p", api_name="quick")
demo.queue(default_concurrency_limit=3, max_size=20).launch(max_threads=10)
