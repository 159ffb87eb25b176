"""The files beside the app, chosen in a tree.

call /read [["note.txt"]]
"""

from pathlib import Path

import gradio as gr

folder = Path("tree")
folder.mkdir(exist_ok=True)
(folder / "note.txt").write_text("a note")

with gr.Blocks() as demo:
    files, out = gr.FileExplorer(root_dir="tree"), gr.Textbox()
    gr.Button("Read").click(lambda fs: Path(fs[0]).read_text(), files, out, api_name="read")
demo.launch()
