"""A chat that takes files.

call /chat [{"text": "look", "files": [{"file": "images/logo.png"}]}]
call /chat [{"text": "nothing", "files": []}]
"""

import gradio as gr


def answer(message, history):
    return f"{message['text']}: {len(message['files'])} files"


gr.ChatInterface(answer, multimodal=True, api_name="chat").launch()
