"""A chat over a plain function.

call /chat ["hello"]
call /chat ["again"]
fill placeholder "Type a message..." "hello"
press key Enter
"""

import gradio as gr


def answer(message, history):
    return f"you said {message} after {len(history)}"


gr.ChatInterface(answer, api_name="chat").launch(show_error=True)
