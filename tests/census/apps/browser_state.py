"""A value that the browser keeps.

call /save ["Ada"]
press "Save"
"""

import gradio as gr

with gr.Blocks() as demo:
    kept = gr.BrowserState("nobody", storage_key="who", secret="s")
    name, out = gr.Textbox("Ada"), gr.Textbox()
    gr.Button("Save").click(lambda n: (n, f"kept {n}"), name, [kept, out], api_name="save")
    demo.load(lambda k: f"was {k}", kept, out, api_name=False)
demo.launch()
