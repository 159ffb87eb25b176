"""Numbers and sliders, with bounds.

call /add [2, 3]
call /add [2.5, 100]
call /divide [1, 0]
press "Add"
"""

import gradio as gr

with gr.Blocks() as demo:
    a = gr.Number(1, label="a", precision=2)
    b = gr.Slider(0, 10, 5, step=1, label="b")
    out = gr.Number(label="sum")
    gr.Button("Add").click(lambda a, b: a + b, [a, b], out, api_name="add")
    gr.Button("Divide").click(lambda a, b: a / b, [a, b], out, api_name="divide")
demo.launch()
