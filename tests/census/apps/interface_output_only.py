"""Interfaces with outputs only.

call /predict []
press "Generate"
"""

import gradio as gr

gr.Interface(lambda: "made", None, "text").launch()
