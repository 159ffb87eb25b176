"""An Interface over a generator: its page has a Stop button.

call /count [3]
press "Submit"
"""

import time

import gradio as gr


def count(n):
    for i in range(int(n)):
        time.sleep(0.05)
        yield i


gr.Interface(count, gr.Number(4), gr.Number(), api_name="count").launch()
