"""Results that Gradio keeps.

call /slow ["a"]
call /slow ["a"]
"""

import gradio as gr


@gr.cache()
def slow(text):
    return f"made {text}"


with gr.Blocks() as demo:
    text, out = gr.Textbox("t"), gr.Textbox()
    gr.Button("Slow").click(slow, text, out, api_name="slow")
demo.launch()
