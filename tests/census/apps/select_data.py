"""What was selected: tabs, table cells, radio.

press text "Second"
"""

import gradio as gr


def chosen(data: gr.SelectData):
    return f"{data.index} {data.value} {data.selected}"


with gr.Blocks() as demo:
    out = gr.Textbox(label="out")
    with gr.Tabs() as tabs:
        gr.Tab("First")
        gr.Tab("Second")
    tabs.select(chosen, None, out)
demo.launch()
