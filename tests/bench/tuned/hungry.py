"""Waits, and holds 120 MiB while it does: as many calls as fit into memory."""

import time

import gradio as gr

MIB = 1024 * 1024


def hold(text):
    held = bytearray(120 * MIB)
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(0.2)
    return f"{text} {len(held)}"


gr.Interface(hold, gr.Textbox(), gr.Textbox(), examples=["one"], api_name="hold").launch()
