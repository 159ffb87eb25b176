"""A job, and what asks how far it is: a timer and a button of one event. The job runs until it is let go."""

import threading

import gradio as gr

let_go = threading.Event()
state = {"running": False, "asked": 0}


def work():
    state["running"] = True
    let_go.wait(120)
    state["running"] = False
    return "finished"


def status():
    state["asked"] += 1
    return f"{'running' if state['running'] else 'idle'} {state['asked']}"


with gr.Blocks() as demo:
    out, shown = gr.Textbox(label="Out"), gr.Textbox(label="Status")
    refresh = gr.Button("Refresh")
    gr.Button("Start").click(work, None, out, api_name="work")
    gr.Button("Let go").click(let_go.set, queue=False, api_name="let_go")
    gr.on([gr.Timer(1).tick, refresh.click], status, None, shown, api_name="status", show_progress="hidden")
demo.launch()
