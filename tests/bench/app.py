"""The measured app, an ordinary one: it asks for the concurrency that the measurement needs, as its author
would for Gradio's own queue, and is run unchanged both by itself and behind Spaceport."""

import os
import time

import gradio as gr


def noop(text):
    return text


def fifty_ms(text):
    time.sleep(0.05)
    return text


def fifty_ms_batch(texts):
    time.sleep(0.05)
    return [texts]


def file_heavy(path):
    with open(path, "rb") as file:
        data = file.read()
    out = f"{path}.copy"
    with open(out, "wb") as file:
        file.write(data[::-1])
    return out


def counter(count):
    count = (count or 0) + 1
    return count, count


def chat(message):
    answer = ""
    for word in range(20):
        time.sleep(0.01)
        answer += f"{message} {word} "
        yield answer


with gr.Blocks() as demo:
    text = gr.Textbox()
    out = gr.Textbox()
    file = gr.File()
    file_out = gr.File()
    state = gr.State(0)
    number = gr.Number()
    gr.Button().click(noop, text, out, api_name="noop", concurrency_limit=4)
    gr.Button().click(fifty_ms, text, out, api_name="fifty_ms", concurrency_limit=4)
    gr.Button().click(
        fifty_ms_batch,
        text,
        out,
        api_name="fifty_ms_batch",
        batch=True,
        max_batch_size=16,
        concurrency_limit=1,
    )
    gr.Button().click(file_heavy, file, file_out, api_name="file_heavy", concurrency_limit=4)
    gr.Button().click(counter, state, [state, number], api_name="counter", concurrency_limit=4)
    gr.Button().click(chat, text, out, api_name="chat", concurrency_limit=4)

demo.launch(server_port=int(os.environ.get("BENCH_PORT", "7860")), quiet=True)
