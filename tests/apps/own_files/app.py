import os

import gradio as gr


def give(name):
    return name


def grow(count):
    with open("big.bin", "ab") as file:
        file.write(b"x" * int(count))
    return os.path.getsize("big.bin")


with gr.Blocks() as demo:
    name, out = gr.Textbox(), gr.File()
    gr.Button("Give").click(give, name, out, api_name="give")
    count, size = gr.Number(), gr.Number()
    gr.Button("Grow").click(grow, count, size, api_name="grow")
demo.launch()
