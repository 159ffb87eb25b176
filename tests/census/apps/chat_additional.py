"""A chat with more inputs and outputs.

call /chat ["hi", "Be kind", 3]
call /chat ["hi"]
"""

import gradio as gr


def answer(message, history, system, count):
    return f"{system}: {message * int(count)}", f"# {message}"


with gr.Blocks() as demo:
    notes = gr.Markdown()
    gr.ChatInterface(
        answer,
        additional_inputs=[gr.Textbox("Be brief", label="system"), gr.Slider(1, 5, 2, step=1, label="count")],
        additional_outputs=[notes],
        api_name="chat",
    )
demo.launch()
