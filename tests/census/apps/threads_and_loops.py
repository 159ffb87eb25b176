"""Threads, subprocesses and event loops inside functions.

call /thread ["x"]
call /shell ["x"]
call /loop ["x"]
"""

import asyncio
import subprocess
import threading

import gradio as gr


def thread(text):
    found = []
    worker = threading.Thread(target=lambda: found.append(text * 2))
    worker.start()
    worker.join()
    return found[0]


def shell(text):
    return subprocess.run(["echo", text], capture_output=True, text=True, check=True).stdout.strip()


def loop(text):
    async def later():
        await asyncio.sleep(0.01)
        return f"loop {text}"

    return asyncio.run(later())


with gr.Blocks() as demo:
    text, out = gr.Textbox("t"), gr.Textbox()
    for function in (thread, shell, loop):
        gr.Button(function.__name__).click(function, text, out, api_name=function.__name__)
demo.launch(show_error=True)
