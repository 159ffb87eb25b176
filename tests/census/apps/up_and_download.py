"""Buttons that upload and download.

call /count [[{"file": "data/sample.txt"}]]
call /prepare ["text"]
press "Prepare"
"""

import tempfile
from pathlib import Path

import gradio as gr


def prepare(text):
    path = Path(tempfile.mkdtemp()) / "prepared.txt"
    path.write_text(text)
    return gr.DownloadButton("Get it", value=str(path))


with gr.Blocks() as demo:
    upload, text = gr.UploadButton("Send", file_count="multiple"), gr.Textbox("body")
    number, download = gr.Number(), gr.DownloadButton("Download")
    upload.upload(len, upload, number, api_name="count")
    gr.Button("Prepare").click(prepare, text, download, api_name="prepare")
demo.launch()
