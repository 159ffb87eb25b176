"""Trigger modes, and JavaScript beside and instead of Python.

call /slow ["a"]
press "Js"
press "Both"
"""

import time

import gradio as gr


def slow(text):
    time.sleep(0.1)
    return text


with gr.Blocks() as demo:
    text, out = gr.Textbox("t", label="text"), gr.Textbox(label="out")
    gr.Button("Slow").click(slow, text, out, trigger_mode="multiple", api_name="slow")
    gr.Button("Js").click(None, text, out, js="(t) => t + ' in JavaScript'")
    gr.Button("Both").click(lambda t: f"python {t}", text, out, js="(t) => t + '!'", api_name=False)
demo.launch()
