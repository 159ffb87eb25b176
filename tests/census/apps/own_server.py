"""The same, served by a uvicorn server that the app makes itself.

at /ui
call /greet ["x"]
get /health
"""

import asyncio
import os

import gradio as gr
import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.get("/health")
def health():
    return {"ok": True}


demo = gr.Interface(lambda name: f"hi {name}", "text", "text", api_name="greet")
gr.mount_gradio_app(app, demo, path="/ui")


async def main():
    port = int(os.environ.get("GRADIO_SERVER_PORT", "7860"))
    await uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port)).serve()


asyncio.run(main())
