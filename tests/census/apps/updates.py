"""Outputs that change a component: visibility, choices, labels, gr.skip, dicts, sets of inputs.

call /hide [true]
call /choices [3]
call /skip ["x"]
call /dict ["x"]
call /set ["a", "b"]
press "Hide"
press "Dict"
"""

import gradio as gr

with gr.Blocks() as demo:
    on, number, text = gr.Checkbox(label="on"), gr.Number(2), gr.Textbox("t", label="text")
    out, other = gr.Textbox("was", label="out"), gr.Textbox("other", label="other")
    pick = gr.Dropdown([])
    gr.Button("Hide").click(lambda v: gr.Textbox(visible=v, label="new"), on, out, api_name="hide")
    gr.Button("Choices").click(
        lambda n: gr.update(choices=[str(i) for i in range(int(n))], value="0"),
        number,
        pick,
        api_name="choices",
    )
    gr.Button("Skip").click(lambda t: (gr.skip(), t), text, [out, other], api_name="skip")
    gr.Button("Dict").click(lambda t: {other: f"dict {t}"}, text, [out, other], api_name="dict")
    gr.Button("Set").click(lambda data: data[text] + data[other], {text, other}, out, api_name="set")
demo.launch()
