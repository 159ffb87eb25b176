"""A textbox in, a textbox out.

call /greet ["Ada"]
call /greet [""]
call /greet ["ünï 😀 <b>x</b>"]
fill "name" "Ada"
press "Submit"
"""

import gradio as gr


def greet(name):
    return f"Hello, {name}!"


gr.Interface(greet, "text", "text", api_name="greet").launch()
