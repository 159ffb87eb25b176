"""Functions hidden from programs, undocumented, named by default, described; gr.api without components.

call /shown ["a"]
call /hidden ["a"]
call /undocumented ["a"]
call /lambda ["a"]
call /add [1, 2]
call /nosuch ["a"]
"""

import gradio as gr


def add(a: int, b: int = 5) -> int:
    """Add two numbers."""
    return a + b


with gr.Blocks() as demo:
    text, out = gr.Textbox("t"), gr.Textbox()
    gr.Button("Shown").click(lambda t: t, text, out, api_name="shown", api_description="Says it again.")
    gr.Button("Hidden").click(lambda t: t, text, out, api_name="hidden", api_visibility="private")
    gr.Button("Undocumented").click(
        lambda t: t, text, out, api_name="undocumented", api_visibility="undocumented"
    )
    gr.Button("Default").click(lambda t: t, text, out)
    gr.api(add, api_name="add")
demo.launch()
