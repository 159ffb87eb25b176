"""The same with show_error: a bug's own words reach its visitor.

call /bug ["x"]
call /unicode ["x"]
press "Bug"
"""

import gradio as gr


def bug(text):
    return int(text)


def unicode(text):
    raise RuntimeError("ünï <b>bold</b>\nsecond line")


with gr.Blocks() as demo:
    text, out = gr.Textbox("t"), gr.Textbox()
    gr.Button("Bug").click(bug, text, out, api_name="bug")
    gr.Button("Unicode").click(unicode, text, out, api_name="unicode")
demo.launch(show_error=True)
