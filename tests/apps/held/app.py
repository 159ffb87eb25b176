"""Calls that last exactly as long as a test wants."""

import threading

import gradio as gr

released = threading.Event()


def hold():
    released.wait(600)
    return "held"


with gr.Blocks() as demo:
    out = gr.Textbox()
    gr.Button().click(hold, None, out, api_name="hold", concurrency_id="all")
    gr.Button().click(lambda text: text, out, out, api_name="say", concurrency_id="all")
    gr.Button().click(lambda: released.set() or "released", None, out, api_name="release", queue=False)

demo.launch()
