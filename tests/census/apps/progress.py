"""Progress, by hand and by tqdm.

call /steps [3]
call /tqdm [3]
press "Steps"
"""

import gradio as gr
from tqdm import tqdm


def steps(n, progress=gr.Progress()):
    progress(0, desc="starting")
    for _ in progress.tqdm(range(int(n)), desc="stepping"):
        pass
    return f"{n:g} done"


def tracked(n, progress=gr.Progress(track_tqdm=True)):
    return sum(1 for _ in tqdm(range(int(n))))


with gr.Blocks() as demo:
    n, out, number = gr.Number(2), gr.Textbox(), gr.Number()
    gr.Button("Steps").click(steps, n, out, api_name="steps")
    gr.Button("Tracked").click(tracked, n, number, api_name="tqdm")
demo.launch()
