"""Files that the app may serve, static paths, files it may not serve.

call /give ["allowed/a.txt"]
call /give ["b.txt"]
call /give ["/etc/hostname"]
"""

from pathlib import Path

import gradio as gr

Path("allowed").mkdir(exist_ok=True)
Path("allowed/a.txt").write_text("allowed")
Path("b.txt").write_text("beside the app")
gr.set_static_paths(["allowed"])

with gr.Blocks() as demo:
    name, out = gr.Textbox(), gr.File()
    gr.Button("Give").click(lambda n: n, name, out, api_name="give")
demo.launch(allowed_paths=["allowed"])
