"""Steps of a walkthrough, a draggable area.

press "Next"
"""

import gradio as gr

with gr.Blocks() as demo:
    with gr.Walkthrough(selected=1) as walk:
        with gr.Step("First", id=1):
            button = gr.Button("Next")
            button.click(lambda: gr.Walkthrough(selected=2), None, walk)
        with gr.Step("Second", id=2):
            gr.Markdown("the second step")
    with gr.Draggable():
        gr.Markdown("a")
        gr.Markdown("b")
demo.launch()
