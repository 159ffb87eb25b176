"""An Interface over a batch function.

call /predict ["ab", 3]
press "Submit"
"""

import gradio as gr


def trim(words, lengths):
    return [[word[: int(length)] for word, length in zip(words, lengths)]]


gr.Interface(trim, [gr.Textbox("letters"), gr.Number(2)], "text", batch=True, max_batch_size=16).launch()
