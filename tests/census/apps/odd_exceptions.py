"""Exceptions that are no errors: StopIteration, SystemExit's and KeyboardInterrupt's cousins, groups.

call /stop ["x"]
call /group ["x"]
call /own ["x"]
call /chained ["x"]
"""

import gradio as gr


class Own(Exception):
    def __str__(self):
        return "own words"


def stop(text):
    raise StopIteration("stopped")


def group(text):
    raise ExceptionGroup("several", [ValueError("one"), TypeError("two")])


def own(text):
    raise Own


def chained(text):
    try:
        raise KeyError("first")
    except KeyError as error:
        raise RuntimeError("second") from error


with gr.Blocks() as demo:
    text, out = gr.Textbox("t"), gr.Textbox()
    for function in (group, own, chained):
        gr.Button(function.__name__).click(function, text, out, api_name=function.__name__)
demo.launch(show_error=True)
