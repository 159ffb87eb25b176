import gradio as gr


def no_model(text):
    raise RuntimeError("the model is missing")


with gr.Blocks() as demo:
    text, out = gr.Textbox(), gr.Textbox()
    gr.Examples(["a"], text, out, no_model, cache_examples=True)

demo.launch()
