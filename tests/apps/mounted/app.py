"""Two Gradio apps in a server of one's own, as Gradio's guide shows it. Everything that runs leaves a line in
a file. Written as people write: nothing here knows Spaceport."""

import os
import tempfile
import time

import gradio as gr
import uvicorn
from fastapi import FastAPI

MARKS = os.path.join(tempfile.gettempdir(), "mounted")


def note(what):
    with open(MARKS, "a") as marks:
        marks.write(f"{what}\n")


def mark(text):
    note(f"mark {text}")
    return f"marked {text}"


def slow(text):
    note(f"start {text}")
    time.sleep(1)
    note(f"end {text}")
    return text


def picture(text):
    path = os.path.join(tempfile.gettempdir(), f"{text}.txt")
    with open(path, "w") as file:
        file.write(text)
    return path


def count(n):
    for i in range(int(n)):
        time.sleep(0.1)
        yield "x" * (i + 1)


with gr.Blocks() as demo:
    text = gr.Textbox(label="Text")
    number = gr.Number(5, label="Number")
    out = gr.Textbox(label="Out")
    file = gr.File(label="File")
    gr.Button("Mark").click(mark, text, out, api_name="mark")
    gr.Button("Slow").click(slow, text, out, api_name="slow")
    gr.Button("Count").click(count, number, out, api_name="count")
    gr.Button("File").click(picture, text, file, api_name="file")

with gr.Blocks() as other:
    text = gr.Textbox(label="Text")
    gr.Button("Mark").click(mark, text, text, api_name="mark")

server = FastAPI()


@server.get("/hello")
def hello():
    return {"hello": "own server"}


@server.post("/own")
def own():
    note("own")
    return {"ran": "own"}


server = gr.mount_gradio_app(server, demo, path="/demo")
server = gr.mount_gradio_app(server, other, path="/other")

if __name__ == "__main__":
    uvicorn.run(server, host="127.0.0.1", port=8000)
