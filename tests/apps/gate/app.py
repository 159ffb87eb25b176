"""Calls that last exactly as long as a test wants: until a file is there. Starts are noted in another."""

import asyncio
import time
from pathlib import Path

import gradio as gr


def begin(gate, name):
    with Path(gate + ".starts").open("a") as starts:
        starts.write(f"{name}\n")


def is_open(gate):
    return Path(gate).exists()


def wait(gate, name):
    begin(gate, name)
    while not is_open(gate):
        time.sleep(0.02)
    return f"{name} done"


def steps(gate, name):
    begin(gate, name)
    while not is_open(gate):
        yield "still at it"
        time.sleep(0.05)
    yield f"{name} done"


async def nap(gate, name):
    begin(gate, name)
    while not is_open(gate):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    return f"{name} done"


with gr.Blocks() as demo:
    gate, name, out = gr.Textbox(), gr.Textbox(label="Name"), gr.Textbox(label="Out")
    gr.Button("Wait").click(wait, [gate, name], out, api_name="wait", concurrency_id="all")
    gr.Button("Steps").click(steps, [gate, name], out, api_name="steps", concurrency_id="all")
    gr.Button("Nap").click(nap, [gate, name], out, api_name="nap", concurrency_id="all")

demo.launch()
