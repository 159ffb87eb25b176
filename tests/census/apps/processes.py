"""Work in other processes, forked and spawned.

call /fork [3]
call /spawn [3]
call /pool [3]
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import gradio as gr


def square(n):
    return n * n


def among(method, n):
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        return list(pool.map(square, range(int(n))))


if __name__ == "__main__":
    with gr.Blocks() as demo:
        n, out = gr.Number(2), gr.JSON()
        gr.Button("Fork").click(lambda n: among("fork", n), n, out, api_name="fork")
        gr.Button("Spawn").click(lambda n: among("spawn", n), n, out, api_name="spawn")
        gr.Button("Pool").click(lambda n: among(None, n), n, out, api_name="pool")
    demo.launch(show_error=True)
