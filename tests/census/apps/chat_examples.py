"""A chat with examples, a title, history that is saved and a flag button.

call /chat ["hello"]
press text "second example"
"""

import gradio as gr


def answer(message, history):
    return message.upper()


gr.ChatInterface(
    answer,
    title="Chat",
    description="Shouts.",
    examples=["first example", "second example"],
    save_history=True,
    flagging_mode="manual",
    api_name="chat",
).launch()
