"""Components made while the app runs, with events of their own, queued and not.

call /more [1]
press "More"
press "Add 1"
press "Fast 0"
"""

import gradio as gr

with gr.Blocks() as demo:
    count, total = gr.State(1), gr.Textbox("0", label="total")
    number = gr.Number(1, visible=False)
    gr.Button("More").click(lambda c: c + 1, count, count)
    gr.Button("Hidden", visible=False).click(lambda n: n + 1, number, number, api_name="more")

    @gr.render(inputs=count)
    def show(count):
        for i in range(count):
            gr.Button(f"Add {i}", key=f"a{i}").click(lambda t, i=i: f"{t}+{i}", total, total)
            gr.Button(f"Fast {i}", key=f"f{i}").click(lambda t, i=i: f"fast{i}", total, total, queue=False)


demo.launch()
