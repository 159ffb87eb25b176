"""The measured app, an ordinary one: it asks for the concurrency that the measurement needs, as its author
would for Gradio's own queue, and is run unchanged both by itself and behind Spaceport."""

import os
import time

import gradio as gr


def noop(text):
    return text


def fifty_ms(text):
    time.sleep(0.05)
    return text


def fifty_ms_batch(texts):
    time.sleep(0.05)
    return [texts]


with gr.Blocks() as demo:
    text = gr.Textbox()
    out = gr.Textbox()
    gr.Button().click(noop, text, out, api_name="noop", concurrency_limit=4)
    gr.Button().click(fifty_ms, text, out, api_name="fifty_ms", concurrency_limit=4)
    gr.Button().click(
        fifty_ms_batch,
        text,
        out,
        api_name="fifty_ms_batch",
        batch=True,
        max_batch_size=16,
        concurrency_limit=1,
    )

demo.launch(server_port=int(os.environ.get("BENCH_PORT", "7860")), quiet=True)
