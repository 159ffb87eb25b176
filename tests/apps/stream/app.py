import time

import gradio as gr


def count(n):
    for i in range(int(n)):
        time.sleep(0.1)
        yield str(i + 1)


gr.Interface(count, "number", "text", api_name="count").launch()
