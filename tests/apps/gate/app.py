"""Calls that last exactly as long as a test wants: until a file is there. Starts are noted in another."""

import time
from pathlib import Path

import gradio as gr


def wait(gate, name):
    with Path(gate + ".starts").open("a") as starts:
        starts.write(f"{name}\n")
    while not Path(gate).exists():
        time.sleep(0.02)
    return f"{name} done"


def steps(gate, name):
    yield "begun"
    yield wait(gate, name)


with gr.Blocks() as demo:
    gate, name, out = gr.Textbox(), gr.Textbox(label="Name"), gr.Textbox(label="Out")
    gr.Button("Wait").click(wait, [gate, name], out, api_name="wait", concurrency_id="all")
    gr.Button("Steps").click(steps, [gate, name], out, api_name="steps", concurrency_id="all")

demo.launch()
