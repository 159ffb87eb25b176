"""A chat that keeps its conversations in the browser, beside a value that is kept there too."""

import gradio as gr


def answer(message, history):
    return f"you said {message}, after {len(history)}"


with gr.Blocks() as demo:
    kept = gr.BrowserState("", storage_key="word")
    word = gr.Textbox(label="Word")
    read = gr.Textbox(label="Kept")
    word.submit(lambda text: text, word, kept)
    gr.Button("Read").click(lambda text: text, kept, read)
    gr.ChatInterface(answer, save_history=True)

demo.launch()
