"""Gradio apps in a server of one's own, with routes and a websocket beside them. Everything that runs leaves
a line in a file. Written as people write: nothing here knows Spaceport."""

import asyncio
import os
import tempfile
import time

import gradio as gr
import uvicorn
from fastapi import FastAPI, WebSocket
from fastapi.responses import StreamingResponse

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


def many(texts):
    note(f"many {len(texts)}")
    time.sleep(0.5)
    return [[f"other {text}" for text in texts]]


with gr.Blocks() as other:
    text = gr.Textbox(label="Text")
    out = gr.Textbox(label="Out")
    gr.Button("Slow").click(slow, text, out, api_name="slow")
    gr.Button("Mark").click(lambda text: "other " + mark(text), text, out, api_name="mark")
    gr.Button("Many").click(many, text, out, api_name="many", batch=True, max_batch_size=4)

with gr.Blocks() as hidden:
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


@server.get("/events")
def events():
    return StreamingResponse((f"data: {n}\n\n" for n in range(3)), media_type="text/event-stream")


@server.websocket("/ws")
async def socket(ws: WebSocket):
    await ws.accept(subprotocol="chat")
    await ws.send_text(await ws.receive_text())
    await ws.send_bytes(b"\0\1" * 1000)
    await ws.close(4001)


server = gr.mount_gradio_app(server, demo, path="/demo")
server = gr.mount_gradio_app(server, other, path="/other")
inner = gr.mount_gradio_app(FastAPI(), hidden, path="/")


async def behind(scope, receive, send):
    """Nobody who looks at the server's routes finds what is in here."""
    await inner(scope, receive, send)


server.mount("/hidden", behind)


async def main():
    await uvicorn.Server(uvicorn.Config(server, host="127.0.0.1", port=8000)).serve()


if __name__ == "__main__":
    asyncio.run(main())
