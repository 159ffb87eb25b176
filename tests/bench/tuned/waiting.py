"""Waits, as for somebody else's service: as many calls as allowed."""

import time

import gradio as gr


def ask(text):
    time.sleep(0.1)
    return text[::-1]


gr.Interface(ask, gr.Textbox(), gr.Textbox(), examples=["one", "two"], api_name="ask").launch()
