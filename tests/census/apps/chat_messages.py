"""A chat that answers with components, messages, several messages.

call /chat ["message"]
call /chat ["several"]
call /chat ["image"]
call /chat ["error"]
"""

import gradio as gr
import numpy as np


def answer(message, history):
    match message:
        case "message":
            return {"role": "assistant", "content": "a dict", "metadata": {"title": "Titled"}}
        case "several":
            return [gr.ChatMessage(content="one"), gr.ChatMessage(content="two")]
        case "image":
            return gr.Image(np.full((4, 4, 3), 9, dtype=np.uint8), format="png")
        case _:
            raise gr.Error("no answer")


gr.ChatInterface(answer, api_name="chat").launch()
