"""Computes in Python alone, under the interpreter's lock: more at once gain nothing."""

import gradio as gr


def add(count):
    total = 0
    for number in range(int(count)):
        total += number * number
    return total


gr.Interface(add, gr.Number(), gr.Number(), examples=[[600_000]], api_name="add").launch()
