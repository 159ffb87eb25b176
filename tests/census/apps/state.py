"""What a session keeps from one call to the next, and what another session does not see.

call /more [2]
call /more [3]
client
call /more [4]
press "More"
press "More"
"""

import gradio as gr

with gr.Blocks() as demo:
    kept = gr.State([])
    number, out = gr.Number(1), gr.JSON()
    gr.Button("More").click(lambda n, k: ([*k, n], [*k, n]), [number, kept], [kept, out], api_name="more")
demo.launch()
