"""Interfaces in tabs.

call /predict ["x"]
call /predict_1 [3]
press text "Second"
"""

import gradio as gr

one = gr.Interface(lambda t: f"one {t}", "text", "text")
two = gr.Interface(lambda n: n + 1, "number", "number")
gr.TabbedInterface([one, two], ["First", "Second"], title="Two").launch()
