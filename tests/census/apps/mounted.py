"""Gradio mounted in a FastAPI, with routes of its own.

at /ui
call /greet ["x"]
get /health
get /items/3?q=a
get /missing
"""

import gradio as gr
import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.get("/health")
def health():
    return {"ok": True}


@app.get("/items/{number}")
def item(number: int, q: str = ""):
    return {"number": number, "q": q}


demo = gr.Interface(lambda name: f"hi {name}", "text", "text", api_name="greet")
app = gr.mount_gradio_app(app, demo, path="/ui")

if __name__ == "__main__":
    import os

    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("GRADIO_SERVER_PORT", "7860")))
