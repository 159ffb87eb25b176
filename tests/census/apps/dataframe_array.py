"""A table as arrays and as lists of lists.

call /transpose [{"headers": ["a", "b"], "data": [["1", "2"], ["3", "4"]], "metadata": null}]
call /rows [{"headers": ["a", "b"], "data": [["1", "2"], ["3", "4"]], "metadata": null}]
"""

import gradio as gr

with gr.Blocks() as demo:
    numbers, rows = gr.Numpy(headers=["a", "b"]), gr.List(headers=["a", "b"])
    out, listed = gr.Dataframe(), gr.JSON()
    gr.Button("Transpose").click(lambda n: n.T, numbers, out, api_name="transpose")
    gr.Button("Rows").click(lambda r: r, rows, listed, api_name="rows")
demo.launch()
