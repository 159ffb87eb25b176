import os
import signal
import threading
import time

import gradio as gr


def run(ledger, key, seconds, kind):
    """Writes its beginning and its end to a file that the platform knows nothing of."""

    def note(word):
        line = f"{word} {key} {os.getpid()}-{threading.get_ident()} {time.monotonic():.4f}\n"
        file = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line.encode())
        os.close(file)

    note("start")
    time.sleep(seconds)
    if kind in ("poison", "oom", "hang"):
        note("dies")
    if kind == "poison":
        os._exit(9)
    if kind == "oom":  # as the kernel does it
        os.kill(os.getpid(), signal.SIGKILL)
    while kind == "hang":
        time.sleep(1)
    note("end")
    if kind == "error":
        raise gr.Error("refused on purpose")
    return f"{key} done"


def work(ledger, key, seconds, kind):
    return run(ledger, key, seconds, kind)


def other(ledger, key, seconds, kind):
    return run(ledger, key, seconds, kind)


with gr.Blocks() as demo:
    inputs, output = [gr.Textbox(), gr.Textbox(), gr.Number(), gr.Textbox()], gr.Textbox()
    gr.Button().click(work, inputs, output, api_name="work")
    gr.Button().click(other, inputs, output, api_name="other")
demo.launch()
