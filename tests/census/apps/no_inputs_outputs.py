"""Functions with no input, no output, none of both; too many and too few values.

call /now []
call /only_in ["x"]
call /nothing []
call /too_few []
call /too_many []
press "Now"
"""

import gradio as gr

seen = []
with gr.Blocks() as demo:
    text, out, more = gr.Textbox("t"), gr.Textbox(), gr.Textbox()
    gr.Button("Now").click(lambda: "now", None, out, api_name="now")
    gr.Button("Only in").click(lambda t: None, text, None, api_name="only_in")
    gr.Button("Nothing").click(lambda: None, None, None, api_name="nothing")
    gr.Button("Too few").click(lambda: "one", None, [out, more], api_name="too_few")
    gr.Button("Too many").click(lambda: ("one", "two", "three"), None, [out, more], api_name="too_many")
demo.launch(show_error=True)
