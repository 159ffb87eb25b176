"""One session's data in the app's own table, cleared when it leaves.

call /count []
call /count []
client
call /count []
"""

import gradio as gr

counts = {}


def count(request: gr.Request):
    counts[request.session_hash] = counts.get(request.session_hash, 0) + 1
    return counts[request.session_hash]


with gr.Blocks(delete_cache=(60, 60)) as demo:
    out = gr.Number()
    gr.Button("Count").click(count, None, out, api_name="count")
demo.launch()
