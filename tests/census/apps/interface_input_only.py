"""Interfaces with inputs only, and with one component for both.

call /predict ["x"]
press "Submit"
"""

import gradio as gr

box = gr.Textbox("in and out")
gr.Interface(lambda t: t.upper(), box, box).launch()
