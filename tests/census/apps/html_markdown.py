"""HTML and Markdown, formulas and code in it.

call /html ["<b>bold</b>"]
call /markdown ["# Title"]
press "Markdown"
"""

import gradio as gr

with gr.Blocks() as demo:
    text = gr.Textbox("**bold** and `code` and $x^2$")
    html, markdown = gr.HTML("<i>start</i>"), gr.Markdown("*start*")
    gr.Button("HTML").click(lambda t: t, text, html, api_name="html")
    gr.Button("Markdown").click(lambda t: f"{t}\n\n- one\n- two", text, markdown, api_name="markdown")
demo.launch()
