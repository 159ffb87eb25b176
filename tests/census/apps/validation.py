"""Inputs checked before the function runs.

call /age [5]
call /age [500]
"""

import gradio as gr


def check(age):
    return gr.validate(0 < age < 150, "not an age")


with gr.Blocks() as demo:
    age, out = gr.Number(30, label="age"), gr.Textbox()
    gr.Button("Age").click(lambda a: f"{a:g} years", age, out, validator=check, api_name="age")
demo.launch()
