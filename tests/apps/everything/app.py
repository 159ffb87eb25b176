"""One function of each kind that a client may meet. Written as people write: nothing here knows Spaceport."""

import os
import time

import gradio as gr


def echo(text):
    return f"hello {text}"


def slow(text):
    time.sleep(1)
    return text


def count_up(n):
    for i in range(int(n)):
        time.sleep(0.05)
        yield "x" * (i + 1)


def forever():
    i = 0
    while True:
        i += 1
        time.sleep(0.1)
        yield str(i)


def shout(texts):
    time.sleep(0.2)
    if any(text == "poison" for text in texts):
        raise ValueError("one bad input")
    return [[f"{text.upper()} of {len(texts)}" for text in texts]]


def fail(text):
    raise gr.Error(f"no such thing as {text}")


def bug(text):
    raise ValueError("a bug")


def step(text, progress=gr.Progress()):
    for _ in progress.tqdm(range(4), desc="stepping"):
        time.sleep(0.1)
    return text


def remember(seen):
    seen = (seen or 0) + 1
    return seen, seen


def same_image(path):
    return path


def size_of(path):
    return os.path.getsize(path)


def crash(text):
    os._exit(3)


with gr.Blocks() as demo:
    text = gr.Textbox(label="Text")
    out = gr.Textbox(label="Out")
    greeting = gr.Textbox(label="Greeting")
    number = gr.Number(3, label="Number")
    state = gr.State(0)
    seen = gr.Number(label="Seen")
    image = gr.Image(type="filepath", label="Image")
    image_out = gr.Image(label="Image out")
    upload = gr.File(label="Upload")
    gr.Button("Echo").click(echo, text, out, api_name="echo")
    gr.Button("Slow").click(slow, text, out, api_name="slow")
    gr.Button("Count up").click(count_up, number, out, api_name="count_up")
    run = gr.Button("Forever").click(forever, None, out, api_name="forever")
    gr.Button("Stop").click(None, cancels=[run])
    gr.Button("Shout").click(shout, text, out, api_name="shout", batch=True, max_batch_size=8)
    gr.Button("Fail").click(fail, text, out, api_name="fail")
    gr.Button("Bug").click(bug, text, out, api_name="bug")
    gr.Button("Step").click(step, text, out, api_name="step")
    gr.Button("Remember").click(remember, state, [state, seen], api_name="remember")
    gr.Button("Image").click(same_image, image, image_out, api_name="image")
    gr.Button("Size").click(size_of, upload, number, api_name="size")
    gr.Button("Crash").click(crash, text, out, api_name="crash")
    gr.Button("Quick").click(echo, text, out, api_name="quick", queue=False)
    demo.load(lambda: "welcome", None, greeting)

demo.queue(max_size=50).launch(server_name="127.0.0.1", server_port=9999, share=True)
