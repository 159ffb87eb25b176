"""Steps that follow each other: then, success, failure.

call /first ["x"]
fill "text" "x"
press "First"
press "Broken"
"""

import gradio as gr


def broken(text):
    raise gr.Error("broken")


with gr.Blocks() as demo:
    text = gr.Textbox("t", label="text")
    one, two, three = gr.Textbox(label="one"), gr.Textbox(label="two"), gr.Textbox(label="three")
    first = gr.Button("First").click(lambda t: t + "1", text, one, api_name="first")
    first.then(lambda t: t + "2", one, two, api_name="second").success(lambda t: t + "3", two, three)
    fails = gr.Button("Broken").click(broken, text, one, api_name="broken")
    fails.then(lambda: "after", None, two)
    fails.success(lambda: "never", None, three)
    fails.failure(lambda: "failed", None, three)
demo.launch()
