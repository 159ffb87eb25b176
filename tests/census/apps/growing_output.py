"""Outputs that grow: text, lists, dicts and tables, of which only the difference is sent.

call /text [6]
call /listed [4]
call /tree [4]
press "Text"
"""

import gradio as gr


def text(n):
    for i in range(int(n)):
        yield "word " * (i + 1)


def listed(n):
    for i in range(int(n)):
        yield list(range(i))


def tree(n):
    for i in range(int(n)):
        yield {"steps": {str(s): {"done": s < i} for s in range(i)}}


with gr.Blocks() as demo:
    n, out, data = gr.Number(5), gr.Textbox(), gr.JSON()
    gr.Button("Text").click(text, n, out, api_name="text")
    gr.Button("Listed").click(listed, n, data, api_name="listed")
    gr.Button("Tree").click(tree, n, data, api_name="tree")
demo.launch()
