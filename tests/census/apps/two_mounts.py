"""Two apps mounted beside each other.

at /one
call /say ["x"]
at /two
call /say ["x"]
"""

import os

import gradio as gr
import uvicorn
from fastapi import FastAPI

app = FastAPI()
for name in ("one", "two"):
    demo = gr.Interface(lambda text, name=name: f"{name} {text}", "text", "text", api_name="say")
    app = gr.mount_gradio_app(app, demo, path=f"/{name}")

uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("GRADIO_SERVER_PORT", "7860")))
