"""Two functions of very different length, of which each has a limit of its own."""

import hashlib
import time

import gradio as gr


def look(text):
    time.sleep(0.02)
    return text


def draw(text):
    return hashlib.pbkdf2_hmac("sha256", text.encode(), b"salt", 900_000).hex()


with gr.Blocks() as demo:
    text, answer = gr.Textbox(), gr.Textbox()
    gr.Button().click(look, text, answer, api_name="look")
    gr.Button().click(draw, text, answer, api_name="draw")
    gr.Examples(["one", "two"], text)
demo.launch()
