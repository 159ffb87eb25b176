"""Everything that runs in here leaves a line in a file, so that a test sees what ran even where nobody was
answered. Written as people write: nothing here knows Spaceport."""

import os
import tempfile
import time

import gradio as gr
from gradio.components.base import server

MARKS = os.path.join(tempfile.gettempdir(), "traces")


def note(what):
    with open(MARKS, "a") as marks:
        marks.write(f"{what}\n")


def mark(text: str) -> str:
    """Leaves a mark."""
    note(f"mark {text}")
    return f"marked {text}"


def quick(text: str) -> str:
    """Leaves a mark without a queue."""
    note(f"quick {text}")
    return f"marked {text}"


def slow(text: str) -> str:
    """Takes a second."""
    note(f"start {text}")
    time.sleep(1)
    note(f"end {text}")
    return f"done {text}"


def fail(text: str) -> str:
    """Fails."""
    raise gr.Error(f"no such thing as {text}")


def many(texts: list[str]) -> list[list[str]]:
    note(f"many {texts}")
    return [[f"marked {text}" for text in texts]]


def count(n: float):
    note(f"count {n}")
    for i in range(int(n)):
        time.sleep(0.1)
        yield "x" * (i + 1)


def unload(request: gr.Request):
    note(f"unload {request.session_hash}")


class Files(gr.FileExplorer):
    is_template = True

    @server
    def ls(self, subdirectory=None):
        note("server function")
        return []


with gr.Blocks() as demo:
    text = gr.Textbox(label="Text")
    number = gr.Number(5, label="Number")
    out = gr.Textbox(label="Out")
    files = Files(label="Files", visible=False)
    gr.Button("Mark").click(mark, text, out, api_name="mark")
    gr.Button("Quick").click(quick, text, out, api_name="quick", queue=False)
    gr.Button("Many").click(many, text, out, api_name="many", batch=True)
    gr.Button("Slow").click(slow, text, out, api_name="slow")
    gr.Button("Fail").click(fail, text, out, api_name="fail")
    gr.Button("Count").click(count, number, out, api_name="count")
    demo.load(lambda: note("load"))
    demo.unload(unload)

demo.launch(mcp_server=True)
