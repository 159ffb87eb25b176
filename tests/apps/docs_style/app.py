import gradio as gr

with gr.Blocks() as demo:
    name = gr.Textbox()
    greeting = gr.Textbox()
    name.submit(lambda value: f"Hello {value}", name, greeting, api_name="greet")
