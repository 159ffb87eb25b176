"""JSON in and out, labels with confidences.

call /same [{"a": [1, null, true, {"b": "ü"}]}]
call /classify ["cat"]
call /plain ["cat"]
press "Classify"
"""

import gradio as gr

with gr.Blocks() as demo:
    tree, again = gr.JSON(), gr.JSON()
    text, label = gr.Textbox("dog"), gr.Label(num_top_classes=2)
    gr.Button("Same").click(lambda t: t, tree, again, api_name="same")
    gr.Button("Classify").click(
        lambda t: {t: 0.7, "fish": 0.2, "bird": 0.1}, text, label, api_name="classify"
    )
    gr.Button("Plain").click(lambda t: t, text, label, api_name="plain")
demo.launch()
