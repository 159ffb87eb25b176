"""Errors of every kind, shown and hidden.

call /plain ["x"]
call /titled ["x"]
call /bug ["x"]
call /silent ["x"]
call /assertion ["x"]
call /no_print ["x"]
press "Titled"
"""

import gradio as gr


def plain(text):
    raise gr.Error(f"no such thing as {text}")


def titled(text):
    raise gr.Error("long", duration=None, title="Sorry", visible=True)


def bug(text):
    return {}["missing"]


def silent(text):
    raise gr.Error("unseen", visible=False)


def assertion(text):
    assert text == "y", "must be y"


def no_print(text):
    raise gr.Error("quiet", print_exception=False)


with gr.Blocks() as demo:
    text, out = gr.Textbox("t"), gr.Textbox()
    for function in (plain, titled, bug, silent, assertion, no_print):
        name = function.__name__
        gr.Button(name.capitalize()).click(function, text, out, api_name=name)
demo.launch()
