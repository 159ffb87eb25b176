"""An Interface over a generator, with cached examples.

call /predict [3]
"""

import gradio as gr


def count(n):
    for i in range(int(n)):
        yield i


gr.Interface(count, gr.Number(2), "number", examples=[[2], [4]], cache_examples=True).launch()
