"""An Interface whose results can be flagged.

call /predict ["x"]
press "Submit"
press "Flag"
"""

import gradio as gr

gr.Interface(lambda t: t[::-1], gr.Textbox("abc"), "text", flagging_mode="manual").launch()
