"""Runs unchanged on Gradio 3.50 to 6: one function of each kind that a client of any age may meet. Each call
of `mark` leaves a line in a file, so that a test can see whether it ran at all."""

import os
import tempfile
import time

import gradio as gr

MARKS = os.path.join(tempfile.gettempdir(), "marks")


def echo(text):
    return f"hello {text}"


def slow(text):
    time.sleep(1)
    return text


def count_up(n):
    for i in range(int(n)):
        time.sleep(0.1)
        yield "x" * (i + 1)


def forever():
    i = 0
    while True:
        i += 1
        time.sleep(0.1)
        yield str(i)


def shout(texts):
    time.sleep(0.2)
    return [[f"{text.upper()} of {len(texts)}" for text in texts]]


def fail(text):
    raise gr.Error(f"no such thing as {text}")


def step(text, progress=gr.Progress()):
    for _ in progress.tqdm(range(4), desc="stepping"):
        time.sleep(0.4)
    return text


def remember(seen):
    seen = (seen or 0) + 1
    return seen, seen


def size_of(file):
    return os.path.getsize(getattr(file, "name", file))


def mark(text):
    with open(MARKS, "a") as marks:
        marks.write(f"{text}\n")
    return "marked"


def marks():
    return open(MARKS).read() if os.path.exists(MARKS) else ""


with gr.Blocks() as demo:
    text = gr.Textbox(label="Text")
    out = gr.Textbox(label="Out")
    greeting = gr.Textbox(label="Greeting")
    number = gr.Number(3, label="Number")
    state = gr.State(0)
    seen = gr.Number(label="Seen")
    upload = gr.File(label="Upload")
    gr.Button("Echo").click(echo, text, out, api_name="echo")
    gr.Button("Slow").click(slow, text, out, api_name="slow")
    gr.Button("Count up").click(count_up, number, out, api_name="count_up")
    run = gr.Button("Forever").click(forever, None, out, api_name="forever")
    gr.Button("Stop").click(None, None, None, cancels=[run])
    gr.Button("Shout").click(shout, text, out, api_name="shout", batch=True, max_batch_size=8)
    gr.Button("Fail").click(fail, text, out, api_name="fail")
    gr.Button("Step").click(step, text, out, api_name="step")
    gr.Button("Remember").click(remember, state, [state, seen], api_name="remember")
    gr.Button("Size").click(size_of, upload, number, api_name="size")
    gr.Button("Mark").click(mark, text, out, api_name="mark")
    gr.Button("Quick").click(echo, text, out, api_name="quick", queue=False)
    demo.load(lambda: "welcome", None, greeting)

demo.queue(max_size=50).launch()
