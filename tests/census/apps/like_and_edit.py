"""A chat component with likes, edits, retry and undo.

call /start []
press "Start"
"""

import gradio as gr


def again(history, data: gr.RetryData):
    return history[: data.index]


def undo(history, data: gr.UndoData):
    return history[: data.index]


def like(data: gr.LikeData):
    return f"{data.index} {data.liked}"


with gr.Blocks() as demo:
    chat, out = gr.Chatbot(), gr.Textbox(label="out")
    start = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    gr.Button("Start").click(lambda: start, None, chat, api_name="start")
    chat.retry(again, chat, chat)
    chat.undo(undo, chat, chat)
    chat.like(like, None, out)
demo.launch()
