import time

import gradio as gr


def slow(seconds):
    time.sleep(seconds)
    return f"slept {seconds}"


gr.Interface(slow, gr.Number(value=1), "text", api_name="slow").launch()
