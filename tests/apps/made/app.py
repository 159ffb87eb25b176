"""Events that are made while the app runs. Everything that runs leaves a line in a file. Written as people
write: nothing here knows Spaceport."""

import os
import tempfile
import time

import gradio as gr

MARKS = os.path.join(tempfile.gettempdir(), "made")


def note(what):
    with open(MARKS, "a") as marks:
        marks.write(f"{what}\n")


def slow(text):
    note(f"start {text}")
    time.sleep(1)
    note(f"end {text}")
    return text


with gr.Blocks() as demo:
    rows = gr.Slider(0, 5, value=1, step=1, label="Rows")
    total = gr.Textbox("0", label="Total")
    gr.Button("Slow").click(slow, total, total, api_name="slow")

    @gr.render(inputs=rows)
    def show(count):
        for row in range(int(count)):

            def step(text, row=row):
                note(f"start {text}")
                for i in range(3):
                    time.sleep(0.2)
                    yield f"{text} {row}.{i}"
                note(f"end {text}")

            def fast(text, row=row):
                note(f"fast {text}")
                return f"fast {text} {row}"

            gr.Button(f"Step {row}", key=f"s{row}").click(step, total, total)
            gr.Button(f"Fast {row}", key=f"f{row}").click(fast, total, total, queue=False)


demo.launch()
