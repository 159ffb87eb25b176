"""Batch functions, plain and asynchronous, with one and two outputs.

call /upper ["ab"]
call /both ["ab", 2]
call /later ["ab"]
press "Upper"
"""

import asyncio

import gradio as gr


def upper(texts):
    return [[text.upper() for text in texts]]


def both(texts, numbers):
    return [t * int(n) for t, n in zip(texts, numbers)], [len(t) for t in texts]


async def later(texts):
    await asyncio.sleep(0.01)
    return [[text[::-1] for text in texts]]


with gr.Blocks() as demo:
    text, number = gr.Textbox("t"), gr.Number(2)
    out, length = gr.Textbox(), gr.Number()
    gr.Button("Upper").click(upper, text, out, api_name="upper", batch=True, max_batch_size=4)
    gr.Button("Both").click(both, [text, number], [out, length], api_name="both", batch=True)
    gr.Button("Later").click(later, text, out, api_name="later", batch=True)
demo.launch()
