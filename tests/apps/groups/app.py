"""Limits as code gives them. Each call waits inside its function until the test lets its kind go."""

import threading
from collections import Counter, defaultdict

import gradio as gr

lock = threading.Lock()
inside, most = Counter(), Counter()
doors = defaultdict(threading.Event)


def work(kind):
    with lock:
        inside[kind] += 1
        most[kind] = max(most[kind], inside[kind])
    doors[kind].wait(60)
    with lock:
        inside[kind] -= 1
    return [kind]


def free(kind):
    return work(kind)


def alone(kind):
    return work(kind)


def three(kind):
    return work(kind)


def left(kind):
    return work(kind)


def right(kind):
    return work(kind)


def both(kind):
    return work(kind)


def look():
    return dict(inside)


def look_back():
    return dict(most)


def let_go(kind, open_):
    doors[kind].set() if open_ else doors[kind].clear()
    return [kind]


def polled():
    return sum(inside.values())


with gr.Blocks() as demo:
    kind, out, shown = gr.Textbox(), gr.JSON(), gr.State(1)
    open_ = gr.Checkbox()
    gr.Button().click(free, kind, out, concurrency_limit=None, api_name="free")
    gr.Button().click(alone, kind, out, api_name="alone")
    gr.Button().click(three, kind, out, concurrency_limit=3, api_name="three")
    gr.Button().click(left, kind, out, concurrency_limit=2, concurrency_id="pair", api_name="left")
    gr.Button().click(right, kind, out, concurrency_id="pair", api_name="right")
    gr.Button().click(both, kind, out, api_name="click")
    kind.submit(both, kind, out, api_name="submit")
    refresh = gr.Button()
    gr.on([gr.Timer(1).tick, refresh.click], polled, None, out, api_name="polled")
    gr.Button().click(look, None, out, queue=False, api_name="look")
    gr.Button().click(look_back, None, out, queue=False, api_name="look_back")
    gr.Button().click(let_go, [kind, open_], out, queue=False, api_name="let_go")

    @gr.render(inputs=shown)
    def show(_):
        def made(kind):
            return work(kind)

        gr.Button("made").click(made, kind, out, api_name=False)
        gr.Button("known").click(alone, kind, out, api_name=False)


demo.launch()
