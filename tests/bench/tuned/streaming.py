"""Sends its answer piece by piece, waiting in between."""

import time

import gradio as gr


def tell(text):
    for number in range(5):
        time.sleep(0.03)
        yield f"{text} {number}"


gr.Interface(tell, gr.Textbox(), gr.Textbox(), examples=["one", "two"], api_name="tell").launch()
