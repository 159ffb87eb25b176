"""Rows, columns, groups, accordions, tabs, a sidebar.

call /say ["x"]
press "Say"
"""

import gradio as gr

with gr.Blocks(title="Layout") as demo:
    with gr.Sidebar():
        gr.Markdown("# Side")
    with gr.Row(equal_height=True):
        with gr.Column(scale=2, min_width=200), gr.Group():
            text = gr.Textbox("t", label="text")
        with gr.Column(), gr.Accordion("More", open=False):
            gr.Markdown("hidden words")
    with gr.Tabs():
        with gr.Tab("One"):
            out = gr.Textbox(label="out")
        with gr.Tab("Two", interactive=False):
            gr.Markdown("two")
    gr.Button("Say", variant="primary", size="sm").click(lambda t: t, text, out, api_name="say")
demo.launch()
