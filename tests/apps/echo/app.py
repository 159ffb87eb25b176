import os
from pathlib import Path

import gradio as gr


def echo(text):
    return text


def environment(name):
    return os.environ.get(name, "")


def write(name):
    Path(name).write_text("written")
    return Path(name).read_text()


with gr.Blocks() as demo:
    text = gr.Textbox(label="Text")
    answer = gr.Textbox(label="Answer")
    gr.Button("Echo").click(echo, text, answer, api_name="echo")
    gr.Button("Environment").click(environment, text, answer, api_name="environment")
    gr.Button("Write").click(write, text, answer, api_name="write")

demo.launch()
