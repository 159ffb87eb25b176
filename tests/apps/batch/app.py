import time

import gradio as gr


def double(numbers):
    time.sleep(0.05)
    return [[number * 2 for number in numbers]]


demo = gr.Interface(double, "number", "number", batch=True, max_batch_size=4, api_name="double")
demo.queue(max_size=20).launch()
