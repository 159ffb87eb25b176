"""Info, warning and success beside a result.

call /tell ["x"]
press "Tell"
"""

import gradio as gr


def tell(text):
    gr.Info("for your information", duration=3)
    gr.Warning("careful", title="Mind")
    gr.Success("well done")
    return text * 2


with gr.Blocks() as demo:
    text, out = gr.Textbox("t"), gr.Textbox()
    gr.Button("Tell").click(tell, text, out, api_name="tell")
demo.launch()
