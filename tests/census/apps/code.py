"""Source code in an editor.

call /reverse ["a = 1"]
call /file [{"file": "data/sample.txt"}]
press "Reverse"
"""

import gradio as gr

with gr.Blocks() as demo:
    source, out = gr.Code("print(1)", language="python"), gr.Code(language="python")
    file, text = gr.File(), gr.Code()
    gr.Button("Reverse").click(lambda s: s[::-1], source, out, api_name="reverse")
    gr.Button("File").click(lambda f: (f,), file, text, api_name="file")
demo.launch()
