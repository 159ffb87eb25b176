"""Functions of every kind of end, for clients that listen, hang up, cancel and call again."""

import time

import gradio as gr


def ticks(count):
    for n in range(int(count)):
        yield n
        time.sleep(0.1)


def say(word):
    return f"said {word}"


def fail():
    raise gr.Error("no such thing")


with gr.Blocks() as demo:
    number, word, said = gr.Number(elem_id="count"), gr.Textbox(elem_id="word"), gr.Textbox(elem_id="said")
    running = gr.Button("Ticks", elem_id="ticks").click(ticks, number, number, api_name="ticks")
    gr.Button("Stop", elem_id="stop").click(None, None, None, cancels=[running])
    gr.Button("Say", elem_id="say").click(say, word, said, api_name="say")
    gr.Button("Fail", elem_id="fail").click(fail, None, said, api_name="fail")

demo.launch()
