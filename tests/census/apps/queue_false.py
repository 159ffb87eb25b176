"""Functions that do not queue, beside one that does.

call /quick ["a"]
call /queued ["a"]
call /fails ["a"]
press "Quick"
"""

import gradio as gr


def fails(text):
    raise gr.Error("at once")


with gr.Blocks() as demo:
    text, out = gr.Textbox("t"), gr.Textbox()
    gr.Button("Quick").click(lambda t: f"quick {t}", text, out, queue=False, api_name="quick")
    gr.Button("Queued").click(lambda t: f"queued {t}", text, out, api_name="queued")
    gr.Button("Fails").click(fails, text, out, queue=False, api_name="fails")
demo.launch()
