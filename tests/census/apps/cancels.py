"""A generator that a button ends.

cancel /count [200] after 2
call /quick ["a"]
cancel /acount [200] after 2
call /quick ["b"]
press "Start"
press "Stop"
press "Quick"
"""

import asyncio
import time

import gradio as gr


def count(n):
    for i in range(int(n)):
        time.sleep(0.1)
        yield i


async def acount(n):
    for i in range(int(n)):
        await asyncio.sleep(0.1)
        yield i


with gr.Blocks() as demo:
    n, counted = gr.Number(500), gr.State()
    text, out = gr.Textbox("t"), gr.Textbox(label="out")
    start = gr.Button("Start").click(count, n, counted, api_name="count")
    other = gr.Button("Other").click(acount, n, counted, api_name="acount")
    gr.Button("Stop").click(None, cancels=[start, other])
    gr.Button("Quick").click(lambda t: f"quick {t}", text, out, api_name="quick")
demo.launch()
