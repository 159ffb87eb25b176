"""A Gradio app, served in one of the ways that people serve one: SERVED says which. Written as people write:
nothing here knows Spaceport."""

import asyncio
import os
import subprocess
import threading

import gradio as gr
import uvicorn
from fastapi import APIRouter, FastAPI

with gr.Blocks() as demo:
    text = gr.Textbox()
    gr.Button("Greet").click(lambda name: f"hello {name}", text, text, api_name="greet")

router = APIRouter(prefix="/api")


@router.post("/items")
def items():
    return {"own": "items"}


def mounted(path="/ui", **options):
    server = FastAPI(**options)
    server.include_router(router)
    return gr.mount_gradio_app(server, demo, path=path)


class Middleware:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


def hypercorn():
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = ["0.0.0.0:7860"]
    asyncio.run(serve(server, config))


def sub_app():
    outer = FastAPI()
    outer.mount("/sub", server)
    uvicorn.run(outer, port=8000)


def in_a_thread():
    thread = threading.Thread(target=uvicorn.Server(uvicorn.Config(server, port=8000)).run)
    thread.start()


def two_launches():
    with gr.Blocks() as second:
        gr.Button("Second").click(lambda: "second", None, gr.Textbox(), api_name="second")
    demo.launch(server_port=8123, prevent_thread_lock=True)
    second.launch()


def included():
    outer = FastAPI()
    outer.include_router(gr.routes.App.create_app(demo).router)
    uvicorn.run(outer, port=7860)


def at_the_root():
    uvicorn.run(mounted("/"), port=7860)


def behind_a_proxy():
    uvicorn.run(mounted(root_path="/proxy"), port=7860)


WAYS = {
    "uvicorn CLI": lambda: subprocess.run(["uvicorn", "app:server", "--port", "7860", "--workers", "3"]),
    "own environment": lambda: subprocess.run(
        ["uvicorn", "app:server", "--port", "7860"],
        env={
            name: os.environ[name] for name in ("PATH", "SERVED", "GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT")
        },
    ),
    "gunicorn": lambda: subprocess.run(
        ["gunicorn", "-k", "asgi", "-w", "3", "-b", "0.0.0.0:7860", "app:server"]
    ),
    "hypercorn": hypercorn,
    "hypercorn CLI": lambda: subprocess.run(
        ["hypercorn", "app:server", "--bind", "0.0.0.0:7860", "--workers", "2"]
    ),
    "uvicorn, by name": lambda: uvicorn.run("app:server", port=8000, workers=3),
    "uvicorn, factory": lambda: uvicorn.run("app:mounted", factory=True, port=8000, reload=True),
    "uvicorn, thread": in_a_thread,
    "middleware": lambda: uvicorn.run(Middleware(server), port=8000),
    "sub-app": sub_app,
    "included router": included,
    "root": at_the_root,
    "root_path": behind_a_proxy,
    "two launches": two_launches,
    "launch in a thread": lambda: threading.Thread(
        target=demo.launch, kwargs={"root_path": "/proxy"}
    ).start(),
}

server = mounted() if "launch" not in os.environ["SERVED"] else None

if __name__ == "__main__":
    WAYS[os.environ["SERVED"]]()
