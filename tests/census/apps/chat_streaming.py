"""A chat over a generator.

call /chat ["abc"]
fill placeholder "Type a message..." "hello"
press key Enter
"""

import time

import gradio as gr


def answer(message, history):
    for end in range(len(message)):
        time.sleep(0.02)
        yield message[: end + 1]


gr.ChatInterface(answer, api_name="chat").launch()
