"""Checkbox, checkbox group, radio, dropdowns: values, several values, values that are no choice.

call /choose [true, ["a", "b"], "x", "one", ["p"]]
call /choose [false, [], null, null, []]
call /choose [false, ["z"], "x", "one", []]
call /choose [false, [], "x", "other", []]
press "Choose"
"""

import gradio as gr

with gr.Blocks() as demo:
    inputs = [
        gr.Checkbox(True, label="on"),
        gr.CheckboxGroup(["a", "b", "c"], value=["a"], label="group"),
        gr.Radio(["x", "y"], value="x", label="radio"),
        gr.Dropdown(["one", "two"], value="one", label="dropdown"),
        gr.Dropdown([("P", "p"), ("Q", "q")], multiselect=True, allow_custom_value=True, label="many"),
    ]
    out = gr.JSON()
    gr.Button("Choose").click(lambda *values: list(values), inputs, out, api_name="choose")
demo.launch()
