"""An Interface that runs at every change.

call /predict [3, "double"]
"""

import gradio as gr

gr.Interface(
    lambda n, how: n * 2 if how == "double" else n * n,
    [gr.Number(2, label="n"), gr.Radio(["double", "square"], value="double")],
    "number",
    live=True,
).launch()
