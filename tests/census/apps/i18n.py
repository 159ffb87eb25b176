"""Words in several languages.

call /say ["x"]
press "Greet"
"""

import gradio as gr

words = gr.I18n(en={"greet": "Greet", "name": "Name"}, de={"greet": "Grüßen", "name": "Name"})
with gr.Blocks() as demo:
    name, out = gr.Textbox("Ada", label=words("name")), gr.Textbox()
    gr.Button(words("greet")).click(lambda n: f"hi {n}", name, out, api_name="say")
demo.launch(i18n=words)
