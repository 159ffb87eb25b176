"""A generator: every step is a message.

call /count [4]
call /count [0]
call /breaks [2]
press "Count"
"""

import time

import gradio as gr


def count(n):
    for i in range(int(n)):
        yield f"step {i}"
        time.sleep(0.05)


def breaks(n):
    yield from count(n)
    raise ValueError("broken on the way")


with gr.Blocks() as demo:
    n, out = gr.Number(3), gr.Textbox()
    gr.Button("Count").click(count, n, out, api_name="count")
    gr.Button("Breaks").click(breaks, n, out, api_name="breaks")
demo.launch(show_error=True)
